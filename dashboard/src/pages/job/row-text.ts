// The beginning of a dataset's line, as a person reads it.

export interface Spoken {
  role: string;
  text: string;
}

const TURN = /"role"\s*:\s*"(\w+)"|"content"\s*:\s*"((?:[^"\\]|\\.)*)/g;

/** Who says what in a line of JSON that may be cut off. Of other lines the text itself. */
export function readTurns(line: string): Spoken[] {
  const turns: Spoken[] = [];
  let role = "";
  for (const [, found, content] of line.matchAll(TURN)) {
    if (found !== undefined) role = found;
    else if (content !== undefined) turns.push({ role, text: unquote(content) });
  }
  return turns.length ? turns : [{ role: "", text: line }];
}

function unquote(content: string): string {
  try {
    // A cut may have left half of an escape at the end.
    return JSON.parse(`"${content.replace(/\\(u[0-9a-fA-F]{0,3})?$/, "")}"`) as string;
  } catch {
    return content;
  }
}
