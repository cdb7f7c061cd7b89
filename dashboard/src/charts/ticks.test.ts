import { expect, it } from "vitest";
import { listLogTicks } from "./ticks";

it("uses powers of ten when many are visible", () => {
  expect(listLogTicks(0.001, 1000, 7)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000]);
});

it("uses more ticks in each power of ten when few are visible", () => {
  expect(listLogTicks(0.8, 6, 4)).toEqual([1, 2, 5]);
  expect(listLogTicks(0.8, 6, 8)).toEqual([1, 1.5, 2, 3, 5]);
});

it("uses even steps in a small part of one power of ten", () => {
  expect(listLogTicks(2.1, 2.4, 5)).toEqual([2.1, 2.2, 2.3, 2.4]);
});
