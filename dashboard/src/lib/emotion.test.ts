import { describe, expect, it } from "vitest";
import { describeFeelings, findHue, isDefaultAxes, listFeelings, listPoles, makeCoverage } from "./emotion";

const AXES = ["SADNESS_JOY", "FEAR_COURAGE", "DISGUST_ACCEPTANCE"];
const DEFAULT_AXES = [
  ...AXES,
  ...["ANGER_CALMNESS", "SURPRISE_EXPECTATION", "DISTRUST_TRUST", "BOREDOM_INTEREST", "INDIFFERENCE_EMPATHY"],
];

describe("listFeelings", () => {
  it("names poles, the strongest first", () => {
    const feelings = listFeelings(AXES, [-0.4, 0.901, 0]);
    expect(feelings.map((each) => [each.name, each.sign])).toEqual([
      ["courage", 1],
      ["sadness", -1],
    ]);
    expect(describeFeelings(feelings)).toBe("courage 0.9, sadness 0.4");
  });

  it("calls zeros neutral", () => expect(describeFeelings(listFeelings(AXES, [0, 0, 0]))).toBe("neutral"));
});

describe("findHue", () => {
  it("gives all default poles hues that can be told apart", () => {
    const hues = listPoles(DEFAULT_AXES)
      .map(findHue)
      .sort((a, b) => a - b);
    const gaps = hues.map((hue, index) => (hues[index + 1] ?? (hues[0] ?? 0) + 360) - hue);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(20);
  });

  it("gives custom axes hues by their position, for up to 64 axes", () => {
    const axes = Array.from({ length: 64 }, (_, index) => `LOW${index}_HIGH${index}`);
    const hues = listPoles(axes).map(findHue);
    expect(hues.every((hue) => Number.isInteger(hue) && hue >= 0 && hue < 360)).toBe(true);
    expect(new Set(hues.slice(0, 16)).size).toBe(16);
  });
});

it("knows the default axes", () => {
  expect(isDefaultAxes(DEFAULT_AXES)).toBe(true);
  expect(isDefaultAxes(AXES)).toBe(false);
  expect(isDefaultAxes(["COLD_WARM", "SHY_BOLD"])).toBe(false);
});

it("draws the bars of all axes to one scale", () => {
  const rows = makeCoverage(["SADNESS_JOY", "FEAR_COURAGE"], { sadness: 5, joy: 20, fear: 0 });
  expect(rows.map(([left, right]) => [left.name, left.length, right.name, right.length])).toEqual([
    ["sadness", 0.25, "joy", 1],
    ["fear", 0, "courage", 0],
  ]);
});
