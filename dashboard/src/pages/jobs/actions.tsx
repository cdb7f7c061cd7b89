// The actions on jobs in the table. An action that can't be undone asks for confirmation.

import { useMemo } from "preact/hooks";
import { asError, request } from "../../api/client";
import type { Job, JobRow } from "../../api/types";
import { countOf } from "../../lib/format";
import type { JobVerb } from "../../lib/jobs-view";
import { Confirm } from "../../ui/dialog";
import { toast } from "../../ui/toasts";
import "./actions.css";

/** The jobs whose cancellation needs confirmation. */
export type Ask = Pick<JobRow, "id" | "name" | "status">[];

export interface JobActions {
  run: (row: JobRow, verb: JobVerb) => void;
  /** Throws ApiError if not all jobs could be cancelled. */
  cancel: (rows: Ask) => Promise<void>;
}

function post(id: string, verb: JobVerb): Promise<Job> {
  return request<Job>("POST", `/jobs/${encodeURIComponent(id)}/${verb}`);
}

function describeDone(verb: JobVerb, job: Job): string {
  const name = `“${job.name}”`;
  switch (verb) {
    case "pause":
      return job.status === "paused" ? `${name} is paused.` : `${name} saves a checkpoint and pauses.`;
    case "resume":
      return `${name} is waiting for a slot again.`;
    case "checkpoint":
      return `${name} saves a checkpoint after the current step.`;
    case "cancel":
      return job.status === "cancelled" ? `${name} was cancelled.` : `${name} stops after the current step.`;
  }
}

export function useJobActions({ refresh, ask }: { refresh: () => void; ask: (rows: Ask) => void }): JobActions {
  return useMemo(
    () => ({
      run: (row, verb) => {
        if (verb === "cancel") return ask([row]);
        post(row.id, verb)
          .then((job) => toast("done", describeDone(verb, job)))
          .catch((caught: unknown) => toast("failed", asError(caught).message))
          .finally(refresh);
      },
      cancel: async (rows) => {
        const results = await Promise.allSettled(rows.map((row) => post(row.id, "cancel")));
        refresh();
        const done = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
        const failed = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
        const [only] = done;
        if (only) {
          toast("done", done.length === 1 ? describeDone("cancel", only) : `${countOf(done.length, "job")} cancelled.`);
        }
        if (failed.length) throw failed[0];
      },
    }),
    [refresh, ask],
  );
}

export function AskDialog({
  ask,
  actions,
  onDone,
  onClose,
}: {
  ask: Ask;
  actions: JobActions;
  onDone: () => void;
  onClose: () => void;
}) {
  const [only] = ask;
  const isOne = ask.length === 1;
  const runs = ask.some((row) => row.status === "running");
  return (
    <Confirm
      title={isOne ? "Cancel this job?" : `Cancel ${countOf(ask.length, "job")}?`}
      action={isOne ? "Cancel the job" : `Cancel ${countOf(ask.length, "job")}`}
      act={() =>
        actions.cancel(ask).then(() => {
          if (!isOne) onDone();
        })
      }
      onClose={onClose}
    >
      {isOne && only ? (
        <p>
          <strong>{only.name}</strong>{" "}
          {only.status === "running" ? "stops after the current step." : "leaves the queue."} A cancelled job can't be
          resumed, but it can be cloned.
        </p>
      ) : (
        <>
          <ul class="jobs-ask-list">
            {ask.map((row) => (
              <li key={row.id}>
                <strong>{row.name}</strong> <span class="soft">{row.status}</span>
              </li>
            ))}
          </ul>
          <p>
            {runs ? "Running jobs stop after their current step. " : ""}Cancelled jobs can't be resumed, but they can be
            cloned.
          </p>
        </>
      )}
    </Confirm>
  );
}
