// Remembers in the browser which unfinished upload belongs to which file, so that a file that is chosen again after a
// reload resumes its upload.

interface Settings {
  name: string;
  axes: string | null;
  mapping: string | null;
}

const STORED = "emotune-uploads";
const MAX_KEPT = 20;

/** A corrected file is made in the page and has no date, so it is never mistaken for another file. */
function makeKey(file: Blob, settings: Settings): string | null {
  if (!(file instanceof File)) return null;
  return JSON.stringify([file.name, file.size, file.lastModified, settings.name, settings.axes, settings.mapping]);
}

function read(): [string, string][] {
  try {
    const kept: unknown = JSON.parse(window.localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(kept) ? (kept as [string, string][]) : [];
  } catch {
    return [];
  }
}

function write(kept: [string, string][]): void {
  window.localStorage.setItem(STORED, JSON.stringify(kept.slice(-MAX_KEPT)));
}

export function recallUpload(file: Blob, settings: Settings): string | null {
  const key = makeKey(file, settings);
  return read().find(([each]) => each === key)?.[1] ?? null;
}

export function rememberUpload(file: Blob, settings: Settings, uploadId: string): void {
  const key = makeKey(file, settings);
  if (key !== null) write([...read().filter(([each]) => each !== key), [key, uploadId]]);
}

export function forgetUpload(file: Blob, settings: Settings): void {
  const key = makeKey(file, settings);
  write(read().filter(([each]) => each !== key));
}
