// Compares several jobs: the differences of their configs, and their figures. All functions are pure.

import type { Job } from "../../api/types";
import type { JobCurves } from "../../lib/curves";
import { formatBytes, formatCount, formatSeconds, formatShare, NONE } from "../../lib/format";
import { formatLoss, MAX_CHOSEN } from "../../lib/jobs-view";

/** A compared job; `curves` and `tokenCount` grow while it runs. */
export interface ComparedJob {
  job: Job;
  curves: JobCurves;
  /** The number of tokens that the job has learned until its last point. */
  tokenCount: number | null;
}

/** Reads the ids from an address, each once, and at most as many as can be told apart. */
export function parseIds(text: string | null): string[] {
  const ids = (text ?? "").split(",").map((id) => id.trim());
  return [...new Set(ids.filter((id) => id !== ""))].slice(0, MAX_CHOSEN);
}

/** Returns a label for each job; jobs with the same name get the end of their id. */
export function labelJobs(jobs: readonly Pick<Job, "id" | "name">[]): string[] {
  const counts = new Map<string, number>();
  for (const { name } of jobs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return jobs.map(({ id, name }) => ((counts.get(name) ?? 0) > 1 ? `${name} (${id.slice(-4)})` : name));
}

/** Keeps the position of each id that stays, so that a curve keeps its colour when another one is removed. */
export function keepPlaces(places: ReadonlyMap<string, number>, ids: readonly string[]): Map<string, number> {
  const kept = new Map(ids.flatMap((id) => (places.has(id) ? [[id, places.get(id) as number] as const] : [])));
  const taken = new Set(kept.values());
  let free = 0;
  for (const id of ids) {
    if (kept.has(id)) continue;
    while (taken.has(free)) free += 1;
    taken.add(free);
    kept.set(id, free);
  }
  return kept;
}

export interface ConfigRow {
  field: string;
  /** The values as text, one for each job. */
  values: string[];
  differs: boolean;
}

/** Returns all fields of the configs, in the order of the first config; a missing field is shown as `–`. */
export function listConfigRows(jobs: readonly Pick<Job, "config">[]): ConfigRow[] {
  const fields = [...new Set(jobs.flatMap(({ config }) => Object.keys(config)))];
  return fields.map((field) => {
    const values = jobs.map(({ config }) => (field in config ? formatValue(config[field]) : NONE));
    return { field, values, differs: new Set(values).size > 1 };
  });
}

/** Formats a value of a config for people. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(formatValue).join(", ");
  if (typeof value === "number") return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

export interface Figure {
  text: string;
  /** The note under the figure. */
  note?: string;
}

export interface FigureRow {
  name: string;
  figures: Figure[];
  /** The indexes of the best figures; empty if there is none or all are equal. */
  best: number[];
}

export function listFigures(jobs: readonly ComparedJob[]): FigureRow[] {
  return [
    row(jobs, "Last loss", ({ job }) => readNumber(job.result, "final_loss") ?? job.last_loss, formatLoss, "lowest"),
    row(jobs, "Best loss", findLowest("loss"), formatLoss, "lowest"),
    row(jobs, "Last eval loss", ({ curves }) => findLast(curves.values.eval_loss), formatLoss, "lowest"),
    row(jobs, "Best eval loss", findLowest("eval_loss"), formatLoss, "lowest"),
    row(
      jobs,
      "Loss reduction by emotion",
      ({ curves }) => {
        const neutral = findLast(curves.values.eval_neutral_loss);
        const own = findLast(curves.values.eval_loss);
        return neutral === null || own === null ? null : neutral - own;
      },
      formatLoss,
      "highest",
    ),
    {
      name: "Steps",
      figures: jobs.map(({ job }) => ({
        text: formatCount(job.step),
        ...(job.total_steps ? { note: `of ${formatCount(job.total_steps)}` } : {}),
      })),
      best: [],
    },
    row(jobs, "Tokens", readTokens, formatCount),
    row(jobs, "Tokens/s", readSpeed, (value) => formatCount(value), "highest"),
    {
      name: "Training time",
      figures: jobs.map(({ job, curves }) =>
        compareEstimate(job, readSeconds(job, curves), readNumber(job.estimate, "train_seconds"), formatSeconds),
      ),
      best: [],
    },
    {
      name: "Peak memory",
      figures: jobs.map(({ job }) =>
        compareEstimate(
          job,
          readNumber(job.result, "peak_memory_bytes") ?? job.peak_gpu_bytes ?? job.peak_host_bytes,
          readNumber(job.estimate, "peak_memory_bytes"),
          formatBytes,
        ),
      ),
      best: [],
    },
    { name: "Runs", figures: jobs.map(({ job }) => ({ text: formatCount(job.attempt) })), best: [] },
  ].filter(({ figures }) => figures.some(({ text }) => text !== NONE));
}

/** Explains why the losses of these jobs can't be compared, if they can't. */
export function describeMismatch(jobs: readonly Pick<Job, "dataset" | "base_model" | "config">[]): string {
  const parts = [
    new Set(jobs.map(({ dataset }) => dataset.sha256)).size > 1 && "datasets",
    new Set(jobs.map(({ base_model }) => base_model)).size > 1 && "base models",
  ].filter(Boolean);
  return parts.length
    ? `These jobs have different ${parts.join(" and ")}: their losses can't be compared directly.`
    : "";
}

function row(
  jobs: readonly ComparedJob[],
  name: string,
  read: (job: ComparedJob) => number | null,
  format: (value: number | null) => string,
  which?: "lowest" | "highest",
): FigureRow {
  const values = jobs.map(read);
  return {
    name,
    figures: values.map((value) => ({ text: format(value) })),
    best: which ? findBest(values, which) : [],
  };
}

/** Returns the indexes of the best values; an empty list if all are equal or there is only one. */
export function findBest(values: readonly (number | null)[], which: "lowest" | "highest"): number[] {
  const found = values.filter((value): value is number => value !== null);
  const best = which === "lowest" ? Math.min(...found) : Math.max(...found);
  if (found.length < 2 || found.every((value) => value === best)) return [];
  return values.flatMap((value, index) => (value === best ? [index] : []));
}

/**
 * Formats the measured value and, under it, the estimate: `estimated 12 min (8 % over)`. The difference is known only
 * after the end of the job.
 */
export function compareEstimate(
  { status }: Pick<Job, "status">,
  taken: number | null,
  estimated: number | null,
  format: (value: number | null) => string,
): Figure {
  if (estimated === null) return { text: format(taken) };
  if (taken === null || taken <= 0 || status !== "succeeded")
    return { text: format(taken), note: `estimated ${format(estimated)}` };
  const share = estimated / taken - 1;
  const off = Math.abs(share) < 0.005 ? "exact" : `${formatShare(Math.abs(share))} ${share > 0 ? "over" : "under"}`;
  return { text: format(taken), note: `estimated ${format(estimated)} (${off})` };
}

function readSeconds(job: Job, curves: JobCurves): number | null {
  return readNumber(job.result, "train_seconds") ?? curves.elapsed.at(-1) ?? null;
}

function readTokens({ job, tokenCount }: ComparedJob): number | null {
  return readNumber(job.result, "token_count") ?? tokenCount;
}

/** Returns the speed over the whole training; for a running job, its current speed. */
function readSpeed({ job, curves, tokenCount }: ComparedJob): number | null {
  if (job.tokens_per_second !== null) return job.tokens_per_second;
  const tokens = readTokens({ job, curves, tokenCount });
  const seconds = readSeconds(job, curves);
  return tokens !== null && seconds ? tokens / seconds : null;
}

function readNumber(values: Job["result"], name: string): number | null {
  const value = values?.[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function findLowest(name: "loss" | "eval_loss"): (job: ComparedJob) => number | null {
  return ({ curves }) => {
    let lowest: number | null = null;
    for (const value of curves.values[name]) {
      if (value !== null && (lowest === null || value < lowest)) lowest = value;
    }
    return lowest;
  };
}

function findLast(values: readonly (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}
