import { expect, it } from "vitest";
import { smooth } from "./smoothing";

it("leaves a constant unchanged from the first value on", () => {
  for (const each of smooth([3, 3, 3, 3], 0.99)) expect(each).toBeCloseTo(3, 12);
});

it("returns the values themselves at weight 0", () => {
  expect(smooth([4, null, 1, 2.5], 0)).toEqual([4, null, 1, 2.5]);
});

it("begins with the first value, then gives weight to the earlier values", () => {
  const found = smooth([4, 0], 0.5);
  expect(found[0]).toBeCloseTo(4, 12);
  // (0.5 * 2 + 0.5 * 0) / (1 - 0.25)
  expect(found[1]).toBeCloseTo(4 / 3, 12);
});

it("ignores missing values", () => {
  const whole = smooth([5, 1, 2], 0.9);
  const broken = smooth([5, null, 1, Number.NaN, 2], 0.9);
  expect(broken).toEqual([whole[0], null, whole[1], null, whole[2]]);
});

it("stays between the lowest and the highest", () => {
  const values = Array.from({ length: 200 }, (_, index) => Math.sin(index) + 2);
  for (const each of smooth(values, 0.95)) {
    expect(each).toBeGreaterThanOrEqual(1);
    expect(each).toBeLessThanOrEqual(3);
  }
});
