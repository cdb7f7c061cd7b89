import { describe, expect, it } from "vitest";
import { makeVisible, nameToken, splitTurns } from "./chat-turns";

function make(...texts: string[]) {
  return texts.map((text, id) => ({ id, text, emotion: [0], is_target: false }));
}

describe("splitTurns", () => {
  it("finds the role, even if it takes several tokens", () => {
    const tokens = make(
      "<bos>",
      "<start_of_turn>",
      "user",
      "\n",
      "Hi",
      "<end_of_turn>",
      "\n",
      "<start_of_turn>",
      "mo",
      "del\n",
      "Yes",
    );
    const turns = splitTurns(tokens);
    expect(turns.map((turn) => turn.role)).toEqual(["user", "model"]);
    expect(turns.flatMap((turn) => turn.tokens.map((each) => each.index))).toEqual(tokens.map((_, index) => index));
    expect(turns[1]?.tokens.map((each) => each.isControl)).toEqual([true, true, true, false]);
    expect(turns[0]?.tokens.map((each) => each.isControl)).toEqual([true, true, true, true, false, true, false]);
  });

  it("treats a text without turn marks as one turn", () => {
    expect(splitTurns(make("a", "b"))).toMatchObject([{ role: null }]);
    expect(splitTurns([])).toEqual([]);
  });
});

it("shows spaces and line breaks", () => {
  expect(makeVisible("a\n\n")).toBe("a↵\n↵\n");
  expect(nameToken(" a\n")).toBe("␣a↵");
  expect(nameToken("")).toBe("(continues a character)");
});
