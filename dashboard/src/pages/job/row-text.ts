// Reads the beginning of a dataset's line for people.

export interface Spoken {
  role: string;
  text: string;
}

const TURN = /"role"\s*:\s*"(\w+)"|"content"\s*:\s*"((?:[^"\\]|\\.)*)/g;

/** Returns the turns of a JSON line that may be cut off; for any other line, its text. */
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
    // The line may have been cut off in the middle of an escape.
    return JSON.parse(`"${content.replace(/\\(u[0-9a-fA-F]{0,3})?$/, "")}"`) as string;
  } catch {
    return content;
  }
}
