// The metrics of a job by columns, as one training: where a later attempt goes on from a checkpoint, its points take
// the place of those that the earlier one had made beyond it.

import type { CurveColumns, Metric } from "../api/types";

/** The columns that are drawn. */
const DRAWN = [
  "loss",
  "lora_learning_rate",
  "emotion_learning_rate",
  "grad_norm",
  "tokens_per_second",
  "memory_bytes",
  "eval_loss",
  "eval_neutral_loss",
  "gpu_utilization_percent",
  "gpu_memory_used_bytes",
  "gpu_temperature_celsius",
  "gpu_power_watts",
] as const;

export type CurveName = (typeof DRAWN)[number];
type Values = (number | null)[];

export interface JobCurves {
  /** Ascending, each once. */
  step: number[];
  /** Seconds of training until each step, over all attempts; ascending. */
  elapsed: number[];
  attempt: number[];
  values: Record<CurveName, Values>;
}

export function makeCurves(): JobCurves {
  const values = Object.fromEntries(DRAWN.map((name) => [name, [] as Values])) as Record<CurveName, Values>;
  return { step: [], elapsed: [], attempt: [], values };
}

/** With the points of a page of `GET /jobs/{id}/curves`; the curves that were given stay as they are. */
export function addColumns(curves: JobCurves, columns: CurveColumns): JobCurves {
  const next = copy(curves);
  for (let index = 0; index < columns.step.length; index++) {
    addPoint(
      next,
      columns.attempt[index] as number,
      columns.step[index] as number,
      columns.elapsed_seconds[index] as number,
      (name) => columns[name][index] ?? null,
    );
  }
  return next;
}

/** With live points, in the order in which they came. */
export function addMetrics(curves: JobCurves, metrics: readonly Metric[]): JobCurves {
  const next = copy(curves);
  for (const metric of metrics) {
    addPoint(next, metric.attempt, metric.step, metric.elapsed_seconds, (name) => metric[name] ?? null);
  }
  return next;
}

function copy(curves: JobCurves): JobCurves {
  const values = Object.fromEntries(DRAWN.map((name) => [name, curves.values[name].slice()])) as JobCurves["values"];
  return { step: curves.step.slice(), elapsed: curves.elapsed.slice(), attempt: curves.attempt.slice(), values };
}

function addPoint(
  curves: JobCurves,
  attempt: number,
  step: number,
  elapsedSeconds: number,
  read: (name: CurveName) => number | null,
): void {
  // What an attempt still says that was taken for dead is not part of the training.
  if (attempt < (curves.attempt.at(-1) ?? 0)) return;
  while (curves.step.length && (curves.step.at(-1) as number) >= step) {
    curves.step.pop();
    curves.elapsed.pop();
    curves.attempt.pop();
    for (const name of DRAWN) curves.values[name].pop();
  }
  curves.step.push(step);
  // A checkpoint carries the seconds before it. Where they are lost the time goes on all the same, and never back.
  curves.elapsed.push(Math.max(elapsedSeconds, curves.elapsed.at(-1) ?? 0));
  curves.attempt.push(attempt);
  for (const name of DRAWN) curves.values[name].push(read(name));
}

/** The points where a column has a value. */
export function pick(x: readonly number[], y: Values): { x: number[]; y: number[] } {
  const found = { x: [] as number[], y: [] as number[] };
  y.forEach((value, index) => {
    if (value === null) return;
    found.x.push(x[index] as number);
    found.y.push(value);
  });
  return found;
}

export function hasValues(values: Values): boolean {
  return values.some((value) => value !== null);
}

/** Whether a cursor `attempt-seq` is behind another; true where there is no other. */
export function isAfter(cursor: string, other: string | null): boolean {
  if (other === null) return true;
  const [attempt = 0, seq = 0] = cursor.split("-").map(Number);
  const [otherAttempt = 0, otherSeq = 0] = other.split("-").map(Number);
  return attempt > otherAttempt || (attempt === otherAttempt && seq > otherSeq);
}
