import { expect, it } from "vitest";
import { listLogTicks } from "./ticks";

it("has the powers of ten where many are seen", () => {
  expect(listLogTicks(0.001, 1000, 7)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000]);
});

it("has more of each where few are seen", () => {
  expect(listLogTicks(0.8, 6, 4)).toEqual([1, 2, 5]);
  expect(listLogTicks(0.8, 6, 8)).toEqual([1, 1.5, 2, 3, 5]);
});

it("has even steps in a small part of one", () => {
  expect(listLogTicks(2.1, 2.4, 5)).toEqual([2.1, 2.2, 2.3, 2.4]);
});
