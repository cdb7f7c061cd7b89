// Finds, reads and replaces lines of a file in the browser without holding the whole file in memory.

/** The range of a line in the file, in bytes; `end` is before its line break. */
export interface LineRange {
  start: number;
  end: number;
}

/** The new text of each line; null leaves the line out. */
export type LineEdits = ReadonlyMap<number, string | null>;

/**
 * A file larger than this has to be fixed on the reader's computer: reading it again and again in the page would take
 * too long.
 */
export const MAX_PATCHED_BYTES = 200 * 1024 ** 2;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** Returns the ranges of some lines, counted from 1 as the API does. Lines that the file doesn't have are left out. */
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
 * Returns the file with some lines changed. It consists of slices, which copy nothing. A line that is left out becomes
 * a blank line, which an upload skips, so all other lines keep their numbers from report to report.
 */
export function patchLines(file: Blob, ranges: ReadonlyMap<number, LineRange>, edits: LineEdits): Blob {
  const parts: BlobPart[] = [];
  let from = 0;
  for (const [line, text] of [...edits].sort(([a], [b]) => a - b)) {
    const range = ranges.get(line);
    if (!range) continue;
    parts.push(file.slice(from, range.start));
    // An edit with line breaks would move all lines after it; between JSON tokens, a space means the same as a line
    // break.
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
  /** Whether the line is longer than the part that was read. */
  isCut: boolean;
  /** Whether the line is not UTF-8 and was read as Windows-1252. */
  isForeign: boolean;
}

/** Returns the text of a line, at most `maxBytes` of it. */
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

/**
 * Detects from the beginning of a file whether its lines can be fixed here, which is possible for JSON Lines, plain or
 * in gzip.
 */
export async function readKind(file: Blob): Promise<Kind> {
  const bytes = new Uint8Array(await file.slice(0, 4096).arrayBuffer());
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  const text = new TextDecoder().decode(bytes).trimStart();
  if (text.startsWith("[") && !/^\[[^\n]*\]\s*\n/.test(text)) return "other";
  if (text.startsWith("PAR1") || bytes.includes(0)) return "other";
  return text.startsWith("{") || text.includes("{") ? "lines" : "other";
}

/** Decompresses a gzip file. */
export function unpack(file: Blob): Promise<Blob> {
  return new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}
