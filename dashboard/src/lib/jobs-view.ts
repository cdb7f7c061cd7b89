// Reads and writes the table's view in the address, and describes a job in its row. All functions are pure.

import type { JobRow, JobStatus, Slot } from "../api/types";
import { formatCount, formatNumber, formatSeconds, NONE } from "./format";

export const PAGE_LENGTH = 50;
export const NEWEST_FIRST = "-created_at";
/** More curves than this can't be told apart. */
export const MAX_CHOSEN = 8;

/** The statuses in the order of a job's life, as the filter shows them. */
export const STATUSES: readonly JobStatus[] = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];

/** The columns that can be sorted, and the direction that a first click gives. */
export const SORTS: readonly { key: string; name: string; isDownFirst: boolean }[] = [
  { key: "created_at", name: "Posted", isDownFirst: true },
  { key: "name", name: "Name", isDownFirst: false },
  { key: "status", name: "Status", isDownFirst: false },
  { key: "last_loss", name: "Loss", isDownFirst: false },
  { key: "started_at", name: "Started", isDownFirst: true },
  { key: "finished_at", name: "Ended", isDownFirst: true },
];

export interface JobsView {
  statuses: JobStatus[];
  search: string;
  /** The sort as the API takes it: a key of SORTS, with a minus for descending order. */
  sort: string;
  /** The page number, from 1. */
  page: number;
}

/** Reads the view from the address and ignores invalid values. */
export function readView(query: URLSearchParams): JobsView {
  const asked = (query.get("status") ?? "").split(",");
  const sort = query.get("sort") ?? "";
  const page = Number(query.get("page") ?? 1);
  return {
    statuses: STATUSES.filter((status) => asked.includes(status)),
    search: query.get("search") ?? "",
    sort: SORTS.some(({ key }) => key === sort.replace(/^-/, "")) ? sort : NEWEST_FIRST,
    page: Number.isInteger(page) && page >= 1 ? page : 1,
  };
}

/** Returns the part of the address behind `?`, without the default values. */
export function writeView(view: JobsView): Record<string, string | null> {
  return {
    status: view.statuses.join(",") || null,
    search: view.search.trim() || null,
    sort: view.sort === NEWEST_FIRST ? null : view.sort,
    page: view.page > 1 ? String(view.page) : null,
  };
}

export function isFiltered(view: JobsView): boolean {
  return view.statuses.length > 0 || view.search.trim() !== "";
}

/** Returns the sort after a click on a heading: first the heading's own direction, then the opposite one. */
export function turnSort(sort: string, key: string): string {
  const other = SORTS.find((each) => each.key === key)?.isDownFirst ? `-${key}` : key;
  if (sort.replace(/^-/, "") !== key) return other;
  return sort.startsWith("-") ? key : `-${key}`;
}

export function readAriaSort(sort: string, key: string): "ascending" | "descending" | "none" {
  if (sort.replace(/^-/, "") !== key) return "none";
  return sort.startsWith("-") ? "descending" : "ascending";
}

export function hasEnded(status: JobStatus): boolean {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}

export type JobVerb = "pause" | "resume" | "checkpoint" | "cancel";

/** Returns the actions that the job allows now; the API makes the final decision. */
export function listVerbs(
  job: Pick<JobRow, "status" | "stop_kind" | "stop_requested" | "checkpoint_requested">,
): JobVerb[] {
  if (hasEnded(job.status) || job.stop_kind === "cancel") return [];
  const isPausing = job.status === "running" && job.stop_kind === "pause";
  const verbs: JobVerb[] = [];
  if (job.status === "paused" || isPausing) verbs.push("resume");
  else verbs.push("pause");
  if (job.status === "running" && !job.stop_requested && !job.checkpoint_requested) verbs.push("checkpoint");
  verbs.push("cancel");
  return verbs;
}

const STOPPING = { cancel: "cancelling …", pause: "pausing …", preempt: "giving up its slot …" } as const;

/** Returns the line under the status: its reason, or what the job is doing. */
export function describeStatus(job: JobRow): string {
  switch (job.status) {
    case "queued":
      return job.queue_reason?.message ?? "";
    case "running":
      if (job.stop_kind) return STOPPING[job.stop_kind];
      if (job.checkpoint_requested) return "saving a checkpoint …";
      return [
        [job.phase, job.slot && `on ${job.slot}`].filter(Boolean).join(" "),
        job.attempt > 1 && `run ${job.attempt}`,
      ]
        .filter(Boolean)
        .join(", ");
    case "paused":
      return job.checkpoint_step ? `at step ${formatCount(job.checkpoint_step)}` : "before its first step";
    case "failed":
      return job.error?.message ?? "";
    default:
      return job.slot ? `on ${job.slot}` : "";
  }
}

/** Returns the text behind the status: the place in the queue. */
export function describePlace(job: Pick<JobRow, "status" | "queue_position">): string | undefined {
  return job.status === "queued" && job.queue_position !== null ? `no. ${job.queue_position}` : undefined;
}

/** Formats a speed as `420 tokens/s`. */
export function formatSpeed(tokensPerSecond: number | null | undefined): string {
  if (tokensPerSecond === null || tokensPerSecond === undefined) return NONE;
  return tokensPerSecond >= 10_000
    ? `${Number((tokensPerSecond / 1000).toPrecision(3))} k`
    : formatCount(Math.round(tokensPerSecond));
}

/** Uses three decimals for losses in the usual range, so that the digits of a column line up. */
export function formatLoss(loss: number | null | undefined): string {
  if (loss === null || loss === undefined || !Number.isFinite(loss)) return NONE;
  return loss >= 0.01 && loss < 100 ? loss.toFixed(3) : formatNumber(loss);
}

const MINUTE_SECONDS = 60;
/** Above this many seconds the exact seconds don't matter, and a number that changes every second distracts. */
const LONG_SECONDS = 10 * MINUTE_SECONDS;

/** Formats a time of which only the size matters. */
export function formatRoughly(seconds: number): string {
  return formatSeconds(
    seconds < LONG_SECONDS ? Math.round(seconds) : Math.round(seconds / MINUTE_SECONDS) * MINUTE_SECONDS,
  );
}

/** Returns how long the job has run: from the first start to the end, including pauses in between. */
export function describeDuration(job: Pick<JobRow, "started_at" | "finished_at">, now: Date): string {
  if (!job.started_at) return "";
  const end = job.finished_at ? new Date(job.finished_at) : now;
  return formatRoughly((end.getTime() - new Date(job.started_at).getTime()) / 1000);
}

/** Describes the page as `1–50 of 1,203`. */
export function describePage(view: JobsView, itemCount: number, totalCount: number): string {
  const first = (view.page - 1) * PAGE_LENGTH + 1;
  if (itemCount === 0) return `0 of ${formatCount(totalCount)}`;
  return `${formatCount(first)}–${formatCount(first + itemCount - 1)} of ${formatCount(totalCount)}`;
}

export interface SlotsBusy {
  name: "GPU slots" | "Slots";
  busyCount: number;
  /** The number of slots that accept jobs or run one. */
  openCount: number;
  /** Other facts about the slots. */
  note: string;
}

/** Counts the GPU slots if there are any, otherwise all slots; slots whose worker is away don't count. */
export function describeSlots(slots: readonly Pick<Slot, "device" | "status" | "job">[]): SlotsBusy {
  const gpu = slots.filter((slot) => slot.device === "cuda" && slot.status !== "away");
  const counted = gpu.length ? gpu : slots.filter((slot) => slot.status !== "away");
  const count = (status: Slot["status"]) => counted.filter((slot) => slot.status === status).length;
  const closed = (["blocked", "drained"] as const).filter((status) => count(status) > 0);
  return {
    name: gpu.length ? "GPU slots" : "Slots",
    busyCount: count("running"),
    openCount: count("running") + count("idle"),
    note: closed.map((status) => `${count(status)} ${status}`).join(", "),
  };
}
