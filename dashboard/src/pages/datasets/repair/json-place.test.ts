import { describe, expect, it } from "vitest";
import { findPlace, parseField } from "./json-place";

function mark(line: string, field: string | null, column: number | null): string | null {
  const place = findPlace(line, field, column);
  return place && line.slice(place.start, place.end);
}

it("parses fields", () => {
  expect(parseField("messages[1].content")).toEqual(["messages", 1, "content"]);
  expect(parseField("emotion")).toEqual(["emotion"]);
});

describe("findPlace", () => {
  const line =
    '{"id": [1, {"a": "]"}], "messages": [{"role": "user"}, {"role": "bot", "content": "a\\n\\ud83d\\ude00<emo>"}]}';
  it.each([
    ["messages[1].role", null, '"bot"'],
    ["messages[0].role", null, '"user"'],
    ["messages[1].content", 1, "a"],
    ["messages[1].content", 2, "\\n"],
    ["messages[1].content", 3, "\\ud83d\\ude00"],
    ["messages[1].content", 4, "<emo>"],
    ["messages[0].content", null, '{"role": "user"}'],
    ["emotion", null, null],
    ["messages[7].role", null, line.slice(line.indexOf("[{"), -1)],
    [null, 1, "{"],
    [null, null, null],
  ])("%s, column %s is %s", (field, column, text) => expect(mark(line, field, column)).toBe(text));

  it("counts code points, not UTF-16 units", () => {
    expect(mark('{"text": "😀😀!"}', "text", 3)).toBe("!");
    expect(mark("😀x", null, 2)).toBe("x");
  });

  it("finds the place in broken lines if possible", () => {
    expect(mark('{"messages": [{"role": "us', "messages[0].role", null)).toBe('"us');
    expect(mark('{"messages"', "messages", 3)).toBe(null);
    expect(mark("", "messages", 1)).toBe(null);
    expect(mark("{}", null, 99)).toBe("");
  });
});
