import { expect, it } from "vitest";
import type { QueueEntry } from "../../api/types";
import { findStep, gatherRows } from "./entries";

const JOB = { id: "job_1", name: "warm replies" } as NonNullable<QueueEntry["job"]>;

function entry(position: number | null, job: typeof JOB | null = null): QueueEntry {
  return { position, job, reason: null, starts_at: null };
}

it("makes one row of neighbouring jobs of other teams, and a row for each of the team's own jobs", () => {
  expect(gatherRows([entry(1), entry(2), entry(3, JOB), entry(4)])).toEqual([
    { kind: "others", from: 1, to: 2, count: 2 },
    { kind: "job", entry: entry(3, JOB), job: JOB },
    { kind: "others", from: 4, to: 4, count: 1 },
  ]);
});

it("separates jobs that are in turn from jobs that are not", () => {
  expect(gatherRows([entry(1), entry(null), entry(null)])).toEqual([
    { kind: "others", from: 1, to: 1, count: 1 },
    { kind: "others", from: null, to: null, count: 2 },
  ]);
});

it("finds the next place up and down, within the queue", () => {
  expect(findStep(2, -1, 5)).toBe(1);
  expect(findStep(1, -1, 5)).toBeNull();
  expect(findStep(5, 1, 5)).toBeNull();
  expect(findStep(null, 1, 5)).toBeNull();
});
