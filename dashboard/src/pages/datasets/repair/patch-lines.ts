// Lines of a file in the browser: found, read and replaced without holding the file in memory.

/** Where a line lies in the file, in bytes; `end` is before its line break. */
export interface LineRange {
  start: number;
  end: number;
}

/** What a line shall be; null leaves it out. */
export type LineEdits = ReadonlyMap<number, string | null>;

/** A larger file is mended where it comes from: reading it again and again would take too long here. */
export const MAX_PATCHED_BYTES = 200 * 1024 ** 2;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** The places of some lines, counted from 1 as the API does. Lines that the file hasn't are left out. */
export async function findLines(file: Blob, numbers: Iterable<number>): Promise<Map<number, LineRange>> {
  const wanted = [...new Set(numbers)].sort((a, b) => a - b);
  const found = new Map<number, LineRange>();
  let next = 0;
  let line = 1;
  let start = 0;
  let offset = 0;
  let last = -1;
  const reader = file.stream().getReader();
  try {
    while (next < wanted.length) {
      const { done, value } = await reader.read();
      if (done) break;
      let at = value.indexOf(NEWLINE);
      while (at !== -1 && next < wanted.length) {
        if (line === wanted[next]) {
          const previous = at > 0 ? value[at - 1] : last;
          const end = offset + at;
          found.set(line, { start, end: previous === CARRIAGE_RETURN && end > start ? end - 1 : end });
          next += 1;
        }
        line += 1;
        start = offset + at + 1;
        at = value.indexOf(NEWLINE, at + 1);
      }
      offset += value.length;
      last = value[value.length - 1] ?? last;
    }
  } finally {
    void reader.cancel();
  }
  // The last line needs no line break.
  if (next < wanted.length && wanted[next] === line && start < file.size) found.set(line, { start, end: file.size });
  return found;
}

/**
 * The file with some lines changed. It is made of slices, which copy nothing. A line that is left out stays as a blank
 * one, which an upload skips: so all other lines keep their numbers, from report to report.
 */
export function patchLines(file: Blob, ranges: ReadonlyMap<number, LineRange>, edits: LineEdits): Blob {
  const parts: BlobPart[] = [];
  let from = 0;
  for (const [line, text] of [...edits].sort(([a], [b]) => a - b)) {
    const range = ranges.get(line);
    if (!range) continue;
    parts.push(file.slice(from, range.start));
    // An edit that holds line breaks would move all lines after it; between JSON's tokens a blank means the same.
    if (text !== null) parts.push(joinLines(text));
    from = range.end;
  }
  parts.push(file.slice(from));
  return new Blob(parts, { type: file.type });
}

export function joinLines(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ").trim();
}

export interface LineText {
  text: string;
  /** The line is longer than what is read of it. */
  isCut: boolean;
  /** It is not UTF-8 and was read as the encoding that Windows uses in the West. */
  isForeign: boolean;
}

/** The text of a line, up to `maxBytes` of it. */
export async function readLine(file: Blob, range: LineRange, maxBytes = 2 * 1024 ** 2): Promise<LineText> {
  const isCut = range.end - range.start > maxBytes;
  const bytes = await file.slice(range.start, Math.min(range.end, range.start + maxBytes)).arrayBuffer();
  try {
    return { text: new TextDecoder("utf-8", { fatal: !isCut }).decode(bytes), isCut, isForeign: false };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), isCut, isForeign: true };
  }
}

export type Kind = "lines" | "gzip" | "other";

/** Whether a file's lines can be mended here: JSON Lines, plain or in gzip, by what the file begins with. */
export async function readKind(file: Blob): Promise<Kind> {
  const bytes = new Uint8Array(await file.slice(0, 4096).arrayBuffer());
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  const text = new TextDecoder().decode(bytes).trimStart();
  if (text.startsWith("[") && !/^\[[^\n]*\]\s*\n/.test(text)) return "other";
  if (text.startsWith("PAR1") || bytes.includes(0)) return "other";
  return text.startsWith("{") || text.includes("{") ? "lines" : "other";
}

/** What is in a gzip file. */
export function unpack(file: Blob): Promise<Blob> {
  return new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}
