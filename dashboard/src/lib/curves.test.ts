import { describe, expect, it } from "vitest";
import type { CurveColumns, Metric } from "../api/types";
import { addColumns, addMetrics, hasValues, isAfter, makeCurves, pick } from "./curves";

function makeMetric(attempt: number, step: number, loss: number, elapsed = step): Metric {
  return { attempt, step, loss, elapsed_seconds: elapsed, memory_bytes: 1 } as Metric;
}

function makeColumns(attempt: number, steps: number[], losses: number[]): CurveColumns {
  const some = { attempt: steps.map(() => attempt), step: steps, elapsed_seconds: steps, loss: losses };
  // Columns that the test doesn't look at are empty, so all their values are missing.
  return new Proxy(some, {
    get: (target, name) => target[name as keyof typeof some] ?? [],
  }) as unknown as CurveColumns;
}

describe("curves of a job", () => {
  it("append live points to the points of the first load", () => {
    const loaded = addColumns(makeCurves(), makeColumns(1, [1, 2], [4, 3]));
    const live = addMetrics(loaded, [makeMetric(1, 3, 2.5)]);
    expect(live.step).toEqual([1, 2, 3]);
    expect(live.values.loss).toEqual([4, 3, 2.5]);
    expect(loaded.step).toEqual([1, 2]);
  });

  it("take the points of a later attempt from the step at which it resumes", () => {
    const first = addColumns(makeCurves(), makeColumns(1, [1, 2, 3, 4, 5], [9, 8, 7, 6, 5]));
    const second = addMetrics(first, [makeMetric(2, 4, 6.1), makeMetric(2, 5, 5.2)]);
    expect(second.step).toEqual([1, 2, 3, 4, 5]);
    expect(second.attempt).toEqual([1, 1, 1, 2, 2]);
    expect(second.values.loss).toEqual([9, 8, 7, 6.1, 5.2]);
  });

  it("drop all points of an attempt that had no checkpoint", () => {
    const first = addColumns(makeCurves(), makeColumns(1, [1, 2, 3], [9, 8, 7]));
    expect(addMetrics(first, [makeMetric(2, 1, 9.5)]).values.loss).toEqual([9.5]);
  });

  it("ignore points of an attempt that another one has replaced", () => {
    const second = addColumns(makeCurves(), makeColumns(2, [1, 2], [9, 8]));
    expect(addMetrics(second, [makeMetric(1, 3, 1)]).step).toEqual([1, 2]);
  });

  it("count a point once if it arrives twice", () => {
    const curves = addMetrics(makeCurves(), [makeMetric(1, 1, 3), makeMetric(1, 1, 3)]);
    expect(curves.step).toEqual([1]);
  });

  it("have a time that never decreases", () => {
    const curves = addMetrics(makeCurves(), [
      makeMetric(1, 1, 3, 10),
      makeMetric(1, 2, 3, 20),
      makeMetric(2, 3, 3, 5),
      makeMetric(2, 4, 3, 32),
    ]);
    expect(curves.elapsed).toEqual([10, 20, 20, 32]);
  });
});

it("picks the points that have a value", () => {
  expect(pick([1, 2, 3], [null, 5, null])).toEqual({ x: [2], y: [5] });
  expect(hasValues([null, 0])).toBe(true);
  expect(hasValues([null])).toBe(false);
});

it("orders cursors by attempt, then by number", () => {
  expect(isAfter("1-10", "1-9")).toBe(true);
  expect(isAfter("2-1", "1-99")).toBe(true);
  expect(isAfter("1-9", "1-9")).toBe(false);
  expect(isAfter("1-9", null)).toBe(true);
});
