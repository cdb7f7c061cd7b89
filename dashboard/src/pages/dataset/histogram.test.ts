import { expect, it } from "vitest";
import { makeBars } from "./histogram";

it("scales bars to the highest one and marks lengths over the limit", () => {
  const bars = makeBars(
    [
      { low: 0, high: 15, count: 5 },
      { low: 16, high: 31, count: 20 },
      { low: 32, high: 63, count: 0 },
    ],
    23,
  );
  expect(bars.map((bar) => bar.label)).toEqual(["0–15", "16–31", "32–63"]);
  expect(bars.map((bar) => bar.height)).toEqual([0.25, 1, 0]);
  expect(bars.map((bar) => bar.overShare)).toEqual([0, 0.5, 1]);
});

it("makes no bars without bins", () => expect(makeBars([])).toEqual([]));
