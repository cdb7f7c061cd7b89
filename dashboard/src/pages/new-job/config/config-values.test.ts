import { describe, expect, it } from "vitest";
import type { ConfigField } from "../../../lib/config-fields";
import { describeValue, findDifferences, isSame, parseDraft, parseNumber } from "./config-values";

const FIELD: ConfigField = {
  name: "rate",
  label: "Rate",
  unit: "",
  description: "",
  kind: "number",
  isNullable: false,
  options: [],
  default: 2e-4,
  group: "Main",
};

describe("parseNumber", () => {
  const number = { kind: "number" };
  it.each([
    ["2e-4", 2e-4],
    [" 0.001 ", 0.001],
    [".5", 0.5],
    ["4.", 4],
    ["-3", -3],
    ["1E3", 1000],
  ])("accepts %s", (text, value) => {
    expect(parseNumber(text, number)).toEqual({ value });
  });
  it.each([
    ["0,001", "Write decimals with a point: 0.001"],
    ["2,5", "Write decimals with a point: 2.5"],
    ["10,000", "Is that 10000 or 10.000? Write it without the comma."],
    ["many", "“many” is not a number. Write it as 0.0002 or 2e-4."],
    ["2e", "“2e” is not a number. Write it as 0.0002 or 2e-4."],
    ["1e999", "This number is too large."],
  ])("explains what is wrong with %s", (text, problem) => {
    expect(parseNumber(text, number)).toEqual({ problem });
  });
  it("checks integers and limits", () => {
    expect(parseNumber("1e3", { kind: "integer" })).toEqual({ value: 1000 });
    expect(parseNumber("2.5", { kind: "integer" })).toEqual({ problem: "Enter a whole number." });
    expect(parseNumber("0", { ...number, exclusiveMinimum: 0 })).toEqual({ problem: "Enter a number above 0." });
    expect(parseNumber("0", { ...number, minimum: 1 })).toEqual({ problem: "Enter a number of at least 1." });
    expect(parseNumber("2", { ...number, maximum: 1 })).toEqual({ problem: "Enter a number of at most 1." });
    expect(parseNumber("1", { ...number, exclusiveMaximum: 1 })).toEqual({ problem: "Enter a number below 1." });
  });
});

it("accepts drafts unchanged, except for numbers and empty lists", () => {
  expect(parseDraft("3e-4", FIELD)).toEqual({ value: 3e-4 });
  expect(parseDraft("packed", { ...FIELD, kind: "enum" })).toEqual({ value: "packed" });
  expect(parseDraft(null, { ...FIELD, kind: "boolean" })).toEqual({ value: null });
  expect(parseDraft([], { ...FIELD, kind: "list" })).toEqual({ problem: "Choose at least one." });
});

it("compares lists by their values", () => {
  expect(isSame(["a", "b"], ["b", "a"])).toBe(true);
  expect(isSame(["a"], ["a", "b"])).toBe(false);
  expect(isSame(undefined, null)).toBe(true);
  expect(isSame(0, null)).toBe(false);
});

it("finds the differences of known fields", () => {
  const found = findDifferences({ rate: 1e-4, gone: 3 }, { rate: 2e-4 }, [FIELD, { ...FIELD, name: "other" }]);
  expect(found).toEqual({ rate: 1e-4 });
});

it("describes values in words", () => {
  expect(describeValue(4, { ...FIELD, unit: "passes" })).toBe("4 passes");
  expect(describeValue(1, { ...FIELD, unit: "passes" })).toBe("1 pass");
  expect(describeValue(1, { ...FIELD, unit: "examples" })).toBe("1 example");
  expect(describeValue(null, FIELD)).toBe("none");
  expect(describeValue(null, { ...FIELD, kind: "boolean" })).toBe("automatic");
  expect(describeValue(false, FIELD)).toBe("off");
  expect(describeValue(["a", "b"], { ...FIELD, options: ["b", "a"] })).toBe("all");
});
