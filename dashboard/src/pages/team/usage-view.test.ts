import { expect, it } from "vitest";
import { findRoundTop, formatSlotTime, makeUsageBars, readQuota } from "./usage-view";

it.each([
  [0, 1],
  [0.3, 0.5],
  [1, 1],
  [1.2, 2],
  [4.9, 5],
  [7, 10],
  [130, 200],
])("%s has the round maximum %s", (value, top) => expect(findRoundTop(value)).toBeCloseTo(top, 12));

it("measures days against the top of the axis", () => {
  const days = [
    { date: "2026-11-25", slot_seconds: 0, run_count: 0 },
    { date: "2026-11-26", slot_seconds: 4 * 3600, run_count: 3 },
  ];
  expect(makeUsageBars(days)).toEqual({
    topHours: 5,
    bars: [
      { date: "2026-11-25", share: 0, hours: 0, runs: 0 },
      { date: "2026-11-26", share: 0.8, hours: 4, runs: 3 },
    ],
  });
  expect(makeUsageBars([]).topHours).toBe(1);
});

it("formats slot time briefly", () => {
  expect(formatSlotTime(42)).toBe("42 s");
  expect(formatSlotTime(1800)).toBe("30 min");
  expect(formatSlotTime(12_600)).toBe("3.5 h");
  expect(formatSlotTime(5_000_000)).toBe("1,389 h");
  expect(formatSlotTime(null)).toBe("–");
});

it("reads quotas as people type them", () => {
  expect(readQuota("")).toBeNull();
  expect(readQuota(" 3 ")).toBe(3);
  expect(readQuota("-1")).toBeUndefined();
  expect(readQuota("many")).toBeUndefined();
});
