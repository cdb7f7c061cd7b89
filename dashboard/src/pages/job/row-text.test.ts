import { expect, it } from "vitest";
import { readTurns } from "./row-text";

it("reads who says what", () => {
  const line =
    '{"messages": [{"role": "user", "content": "How \\"was\\" it?"}, {"role": "assistant", "content": "Fine"}]}';
  expect(readTurns(line)).toEqual([
    { role: "user", text: 'How "was" it?' },
    { role: "assistant", text: "Fine" },
  ]);
});

it("reads a line that was cut off", () => {
  expect(readTurns('{"messages": [{"role": "user", "content": "How are y\\u00')).toEqual([
    { role: "user", text: "How are y" },
  ]);
});

it("leaves other lines as they are", () => {
  expect(readTurns("hello")).toEqual([{ role: "", text: "hello" }]);
});
