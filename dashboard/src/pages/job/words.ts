// Describes in a few words what a job is doing, or what it was asked to do.

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
  pause: "saving a checkpoint before the pause",
  preempt: "saving a checkpoint before giving up its slot",
} as const;

/** Returns the text behind the status: what a running job is doing, or the place of a waiting one. */
export function describeNow(job: Job): string | undefined {
  if (job.status === "queued") return job.queue_position ? `place ${job.queue_position}` : undefined;
  if (job.status !== "running") return job.error?.code.replaceAll("_", " ");
  if (job.stop_requested && job.stop_kind) return STOPS[job.stop_kind];
  if (job.checkpoint_requested) return "saving a checkpoint";
  return job.phase ? (PHASES[job.phase] ?? job.phase.replaceAll("_", " ")) : undefined;
}
