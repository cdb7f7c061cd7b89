import { expect, it } from "vitest";
import type { Job } from "../../api/types";
import { describeNow } from "./words";

function makeJob(parts: Partial<Job>): Job {
  return {
    status: "running",
    phase: "training",
    queue_position: null,
    stop_requested: false,
    stop_kind: null,
    checkpoint_requested: false,
    error: null,
    ...parts,
  } as Job;
}

it.each([
  [{}, "training"],
  [{ phase: "loading_model" }, "loading the base model"],
  [{ phase: "something_new" }, "something new"],
  [{ checkpoint_requested: true }, "saving a checkpoint"],
  [{ stop_requested: true, stop_kind: "cancel" }, "stopping after this step"],
  [{ stop_requested: true, stop_kind: "pause", checkpoint_requested: true }, "saving a checkpoint before the pause"],
  [{ status: "queued", queue_position: 3 }, "place 3"],
  [{ status: "queued" }, undefined],
  [{ status: "failed", error: { code: "cuda_out_of_memory" } }, "cuda out of memory"],
  [{ status: "succeeded", phase: null }, undefined],
])("%o is described as %s", (parts, words) => {
  expect(describeNow(makeJob(parts as Partial<Job>))).toBe(words);
});
