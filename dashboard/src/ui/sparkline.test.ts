import { expect, it } from "vitest";
import { makeSparkline } from "./sparkline";

it("fills the box from the left edge to the right, low values at the bottom", () => {
  expect(makeSparkline([2, 1, 0], 13, 13)).toBe("1.5,1.5 6.5,6.5 11.5,11.5");
});

it("leaves out missing values and keeps the positions of the others", () => {
  expect(makeSparkline([1, null, 0], 13, 13)).toBe("1.5,1.5 11.5,11.5");
});

it("draws nothing for a single value, and a level line for equal values", () => {
  expect(makeSparkline([1, null], 10, 10)).toBe("");
  expect(makeSparkline([3, 3], 13, 13)).toBe("1.5,11.5 11.5,11.5");
});
