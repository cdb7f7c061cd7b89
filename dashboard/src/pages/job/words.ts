// What a job is busy with, and what it was asked for, in a few words.

import type { Job } from "../../api/types";

const PHASES: Record<string, string> = {
  starting: "starting",
  importing: "starting",
  loading_dataset: "loading the dataset",
  loading_model: "loading the base model",
  training: "training",
  saving: "saving",
  bundling: "making the bundle",
};

const STOPS = {
  cancel: "stopping after this step",
  pause: "saving a checkpoint to pause",
  preempt: "saving a checkpoint to give its slot away",
} as const;

/** Behind the status: what a running job does, why a waiting one waits. */
export function describeNow(job: Job): string | undefined {
  if (job.status === "queued") return job.queue_position ? `place ${job.queue_position}` : undefined;
  if (job.status !== "running") return job.error?.code.replaceAll("_", " ");
  if (job.stop_requested && job.stop_kind) return STOPS[job.stop_kind];
  if (job.checkpoint_requested) return "saving a checkpoint";
  return job.phase ? (PHASES[job.phase] ?? job.phase.replaceAll("_", " ")) : undefined;
}
