// Prepares an estimate for drawing: the parts of the memory along one bar, compared with the memory of the slots.

import type { JobEstimate, Slot } from "../../../api/types";
import { countOf } from "../../../lib/format";

const PART_NAMES: Record<string, string> = {
  weights: "Base model",
  adapter: "Adapter",
  optimizer: "Optimizer",
  activations: "Activations",
  logits: "Logits",
  reserve: "Libraries",
};

export interface MemoryPart {
  name: string;
  label: string;
  bytes: number;
  /** The part of the bar's length, from 0 to 1. */
  share: number;
}

export interface MemoryBar {
  parts: MemoryPart[];
  total: number;
  /** The memory of the slots that could run the job, each size once, the smallest first. */
  marks: { bytes: number; share: number; slots: string[] }[];
}

/** Returns null if the sizes of the base model are not known. */
export function makeMemoryBar(estimate: JobEstimate, slots: Slot[]): MemoryBar | null {
  if (!estimate.memory) return null;
  const entries = Object.entries(estimate.memory).filter(([, bytes]) => bytes > 0);
  const total = entries.reduce((sum, [, bytes]) => sum + bytes, 0);
  const bySize = new Map<number, string[]>();
  for (const slot of slots) {
    if (slot.device !== estimate.device || slot.memory_bytes === null) continue;
    bySize.set(slot.memory_bytes, [...(bySize.get(slot.memory_bytes) ?? []), slot.name]);
  }
  const sizes = [...bySize.keys()].sort((one, other) => one - other);
  const length = Math.max(total, sizes.at(-1) ?? 0, 1);
  return {
    parts: entries.map(([name, bytes]) => ({ name, label: PART_NAMES[name] ?? name, bytes, share: bytes / length })),
    total,
    marks: sizes.map((bytes) => ({ bytes, share: bytes / length, slots: bySize.get(bytes) ?? [] })),
  };
}

/** Describes in a sentence which slots have enough memory. */
export function describeFit(bar: MemoryBar, device: string): string {
  const kind = device === "cuda" ? "GPU" : "CPU";
  const all = bar.marks.flatMap((mark) => mark.slots);
  const fitting = bar.marks.filter((mark) => mark.bytes >= bar.total).flatMap((mark) => mark.slots);
  if (all.length === 0) return `No ${kind} slot has reported its memory yet.`;
  if (fitting.length === all.length)
    return all.length === 1 ? `Fits the ${kind} slot.` : `Fits all ${countOf(all.length, `${kind} slot`)}.`;
  return fitting.length === 0
    ? `Fits ${all.length === 1 ? `not the ${kind} slot` : `none of ${countOf(all.length, `${kind} slot`)}`}.`
    : `Fits ${fitting.length} of ${countOf(all.length, `${kind} slot`)}.`;
}

const SOURCES: Record<string, string> = {
  like_jobs: "Based on similar jobs that ran here.",
  same_base_model: "Based on other jobs with this base model; these settings may give other numbers.",
  arithmetic: "A rough estimate: no similar job has run here yet.",
};

export function describeSource(source: string): string {
  return SOURCES[source] ?? "";
}

/** Formats a time as `16:05`, with the day if it is not today. */
export function formatClock(date: Date, now: Date): string {
  const clock = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === now.toDateString()) return clock;
  return `${date.toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" })}, ${clock}`;
}
