// Holds the metrics of a job in columns, as one training. If a later attempt resumes from a checkpoint, its points
// replace the points that the earlier attempt made after that checkpoint.

import type { CurveColumns, Metric } from "../api/types";

/** The columns that the charts draw. */
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
  /** The steps, ascending and without repeats. */
  step: number[];
  /** The seconds of training until each step, over all attempts; ascending. */
  elapsed: number[];
  attempt: number[];
  values: Record<CurveName, Values>;
}

export function makeCurves(): JobCurves {
  const values = Object.fromEntries(DRAWN.map((name) => [name, [] as Values])) as Record<CurveName, Values>;
  return { step: [], elapsed: [], attempt: [], values };
}

/** Returns curves with the points of a page of `GET /jobs/{id}/curves` added; the given curves stay unchanged. */
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

/** Returns curves with live points added, in the order in which they arrived. */
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
  // An attempt that was given up may still send points; they are not part of the training.
  if (attempt < (curves.attempt.at(-1) ?? 0)) return;
  while (curves.step.length && (curves.step.at(-1) as number) >= step) {
    curves.step.pop();
    curves.elapsed.pop();
    curves.attempt.pop();
    for (const name of DRAWN) curves.values[name].pop();
  }
  curves.step.push(step);
  // A checkpoint contains the seconds before it. If they are lost, the time still continues and never goes back.
  curves.elapsed.push(Math.max(elapsedSeconds, curves.elapsed.at(-1) ?? 0));
  curves.attempt.push(attempt);
  for (const name of DRAWN) curves.values[name].push(read(name));
}

/** Returns the points at which a column has a value. */
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

/** Returns whether a cursor `attempt-seq` is after another one; true if there is no other one. */
export function isAfter(cursor: string, other: string | null): boolean {
  if (other === null) return true;
  const [attempt = 0, seq = 0] = cursor.split("-").map(Number);
  const [otherAttempt = 0, otherSeq = 0] = other.split("-").map(Number);
  return attempt > otherAttempt || (attempt === otherAttempt && seq > otherSeq);
}
