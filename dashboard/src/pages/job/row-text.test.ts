import { expect, it } from "vitest";
import { readTurns } from "./row-text";

it("reads the role and the text of each turn", () => {
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

it("leaves other lines unchanged", () => {
  expect(readTurns("hello")).toEqual([{ role: "", text: "hello" }]);
});
