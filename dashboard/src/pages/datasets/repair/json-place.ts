// Finds the place of a problem in a line of JSON. The API names a field and a column in that field's text; this module
// finds the characters in the line, even if the JSON around them is broken.

/** A range in UTF-16 units of the line, as strings are indexed. */
export interface Place {
  start: number;
  end: number;
}

type Step = string | number;

/** Splits `messages[1].content` into its steps. */
export function parseField(field: string): Step[] {
  return [...field.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map((match) =>
    match[1] === undefined ? (match[2] ?? "") : Number(match[1]),
  );
}

/** Returns the place of a problem; null if it can't be found. `column` counts code points from 1. */
export function findPlace(line: string, field: string | null, column: number | null): Place | null {
  if (field === null) {
    if (column === null) return null;
    const start = skipPoints(line, 0, column - 1);
    return { start, end: Math.max(start, skipPoints(line, start, 1)) };
  }
  const value = findValue(line, parseField(field));
  if (value === null) return null;
  if (column === null || line[value.start] !== '"') return value;
  let at = value.start + 1;
  for (let count = 1; count < column && at < value.end - 1; count += 1) at = skipCharacter(line, at);
  return { start: at, end: Math.min(findTagEnd(line, at) ?? skipCharacter(line, at), value.end) };
}

/** Returns the end of a tag, which is marked as a whole instead of its first character; null if no tag begins here. */
function findTagEnd(line: string, at: number): number | null {
  const tag = /^<[^<>]{0,200}>/.exec(line.slice(at, at + 202));
  return tag ? at + tag[0].length : null;
}

function skipPoints(text: string, from: number, count: number): number {
  let at = from;
  for (let left = count; left > 0 && at < text.length; left -= 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return at;
}

/**
 * Moves past one character of a JSON string: an escape counts as one, and so do the two escapes of a surrogate pair.
 */
function skipCharacter(line: string, at: number): number {
  if (line[at] !== "\\") return skipPoints(line, at, 1);
  if (line[at + 1] !== "u") return at + 2;
  const isPair = /^\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]/.test(line.slice(at, at + 10));
  return at + (isPair ? 12 : 6);
}

/** Returns the value that the steps lead to, as far as the line can be parsed, or else the nearest value around it. */
function findValue(line: string, steps: Step[]): Place | null {
  let at = skipBlank(line, 0);
  if (at >= line.length) return null;
  for (const step of steps) {
    const inner = typeof step === "number" ? findItem(line, at, step) : findKey(line, at, step);
    if (inner === null) break;
    at = inner;
  }
  const end = skipValue(line, at);
  return at === skipBlank(line, 0) && steps.length > 0 ? null : { start: at, end };
}

function findKey(line: string, open: number, key: string): number | null {
  if (line[open] !== "{") return null;
  let at = skipBlank(line, open + 1);
  while (line[at] === '"') {
    const end = skipValue(line, at);
    const name = readString(line.slice(at, end));
    at = skipBlank(line, end);
    if (line[at] !== ":") return null;
    at = skipBlank(line, at + 1);
    if (name.toLowerCase() === key.toLowerCase()) return at;
    at = skipBlank(line, skipValue(line, at));
    if (line[at] !== ",") return null;
    at = skipBlank(line, at + 1);
  }
  return null;
}

function findItem(line: string, open: number, index: number): number | null {
  if (line[open] !== "[") return null;
  let at = skipBlank(line, open + 1);
  for (let number = 0; at < line.length && line[at] !== "]"; number += 1) {
    if (number === index) return at;
    at = skipBlank(line, skipValue(line, at));
    if (line[at] !== ",") return null;
    at = skipBlank(line, at + 1);
  }
  return null;
}

function readString(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}

function skipBlank(line: string, from: number): number {
  let at = from;
  while (at < line.length && " \t\r\n".includes(line[at] ?? "")) at += 1;
  return at;
}

/** Returns the end of the value that begins here. It counts brackets without recursion, so any depth works. */
function skipValue(line: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < line.length) {
    const character = line[at];
    if (character === '"') {
      at += 1;
      while (at < line.length && line[at] !== '"') at += line[at] === "\\" ? 2 : 1;
      at += 1;
    } else if (character === "{" || character === "[") {
      depth += 1;
      at += 1;
    } else if (character === "}" || character === "]") {
      if (depth === 0) return at;
      depth -= 1;
      at += 1;
    } else if (depth === 0) {
      while (at < line.length && !',:{}[]" \t\r\n'.includes(line[at] ?? "")) at += 1;
      return Math.max(at, from + 1);
    } else {
      at += 1;
    }
    if (depth === 0) return Math.min(at, line.length);
  }
  return line.length;
}
