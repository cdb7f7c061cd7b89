import { describe, expect, it } from "vitest";
import { findOffset } from "./find-offset";

async function find(lines: number[], line: number): Promise<[number, number]> {
  let asked = 0;
  const offset = await findOffset(line, lines.length, async (at) => {
    asked += 1;
    return lines[at] ?? null;
  });
  return [offset, asked];
}

describe("findOffset", () => {
  it("needs one request if no line is blank", async () => expect(await find([1, 2, 3, 4], 3)).toEqual([2, 1]));

  it("finds every line between blank lines", async () => {
    const lines = [2, 3, 7, 8, 20, 21];
    for (const [offset, line] of lines.entries()) expect((await find(lines, line))[0]).toBe(offset);
  });

  it("returns the next example for a blank line, and the last one for a line after the end", async () => {
    expect((await find([2, 5, 9], 3))[0]).toBe(1);
    expect((await find([1, 2], 99))[0]).toBe(1);
    expect((await find([], 1))[0]).toBe(0);
  });
});
