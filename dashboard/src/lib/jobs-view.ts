// What the address says of the table of jobs, and what a row of it says of its job. Pure.

import type { JobRow, JobStatus, Slot } from "../api/types";
import { formatCount, formatNumber, formatSeconds, NONE } from "./format";

export const PAGE_LENGTH = 50;
export const NEWEST_FIRST = "-created_at";
/** Curves that can still be told apart. */
export const MAX_CHOSEN = 8;

/** In the order of a job's life, as the chips stand. */
export const STATUSES: readonly JobStatus[] = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];

/** What can be sorted by, and which way round a first click has it. */
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
  /** As the API takes it: a key of SORTS, with a minus the other way round. */
  sort: string;
  /** From 1 on. */
  page: number;
}

/** What is nonsense in an address is as if it weren't there. */
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

/** The part of the address behind `?`, without what goes without saying. */
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

/** What a click on a heading makes of the sort: its own order first, then the other way round. */
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

/** What can be asked of the job now; the API has the last word. */
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

const STOPPING = { cancel: "cancelling …", pause: "pausing …", preempt: "giving its slot away …" } as const;

/** The line under the status: why it is so, or what goes on. */
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

/** Behind the status: the place in the queue. */
export function describePlace(job: Pick<JobRow, "status" | "queue_position">): string | undefined {
  return job.status === "queued" && job.queue_position !== null ? `no. ${job.queue_position}` : undefined;
}

/** `420 tokens/s`, where the number still tells of something. */
export function formatSpeed(tokensPerSecond: number | null | undefined): string {
  if (tokensPerSecond === null || tokensPerSecond === undefined) return NONE;
  return tokensPerSecond >= 10_000
    ? `${Number((tokensPerSecond / 1000).toPrecision(3))} k`
    : formatCount(Math.round(tokensPerSecond));
}

/** With three decimals where losses usually are, so that a column of them stands still. */
export function formatLoss(loss: number | null | undefined): string {
  if (loss === null || loss === undefined || !Number.isFinite(loss)) return NONE;
  return loss >= 0.01 && loss < 100 ? loss.toFixed(3) : formatNumber(loss);
}

const MINUTE_SECONDS = 60;
/** From here on nobody cares for the seconds, and they are only restless. */
const LONG_SECONDS = 10 * MINUTE_SECONDS;

/** A time that is shown in passing. */
export function formatRoughly(seconds: number): string {
  return formatSeconds(
    seconds < LONG_SECONDS ? Math.round(seconds) : Math.round(seconds / MINUTE_SECONDS) * MINUTE_SECONDS,
  );
}

/** How long the job has run, or ran; from the first start to the end, pauses in between included. */
export function describeDuration(job: Pick<JobRow, "started_at" | "finished_at">, now: Date): string {
  if (!job.started_at) return "";
  const end = job.finished_at ? new Date(job.finished_at) : now;
  return formatRoughly((end.getTime() - new Date(job.started_at).getTime()) / 1000);
}

/** `1–50 of 1,203`. */
export function describePage(view: JobsView, itemCount: number, totalCount: number): string {
  const first = (view.page - 1) * PAGE_LENGTH + 1;
  if (itemCount === 0) return `0 of ${formatCount(totalCount)}`;
  return `${formatCount(first)}–${formatCount(first + itemCount - 1)} of ${formatCount(totalCount)}`;
}

export interface SlotsBusy {
  name: "GPU slots" | "Slots";
  busyCount: number;
  /** Slots that take jobs, or run one. */
  openCount: number;
  /** What else there is to know of the slots. */
  note: string;
}

/** The GPU slots count, where there are any; those whose worker is gone don't. */
export function describeSlots(slots: readonly Pick<Slot, "device" | "status" | "job">[]): SlotsBusy {
  const gpu = slots.filter((slot) => slot.device === "cuda" && slot.status !== "away");
  const counted = gpu.length ? gpu : slots.filter((slot) => slot.status !== "away");
  const count = (status: Slot["status"]) => counted.filter((slot) => slot.status === status).length;
  const shut = (["blocked", "drained"] as const).filter((status) => count(status) > 0);
  return {
    name: gpu.length ? "GPU slots" : "Slots",
    busyCount: count("running"),
    openCount: count("running") + count("idle"),
    note: shut.map((status) => `${count(status)} ${status}`).join(", "),
  };
}
