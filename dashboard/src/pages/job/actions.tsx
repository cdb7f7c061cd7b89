// The actions on a job, by its status.

import { useState } from "preact/hooks";
import { asError, request } from "../../api/client";
import type { Job } from "../../api/types";
import { hasEnded } from "../../lib/jobs-view";
import { Link } from "../../router";
import { useSession } from "../../session";
import { Confirm } from "../../ui/dialog";
import { Icon, type IconName } from "../../ui/icons";
import { toast } from "../../ui/toasts";

interface Verb {
  path: string;
  done: string;
}

const PAUSE: Verb = { path: "pause", done: "The job pauses as soon as it has saved a checkpoint." };
const RESUME: Verb = { path: "resume", done: "The job is waiting for a slot again." };
const SAVE: Verb = { path: "checkpoint", done: "A checkpoint will be saved after this step." };
const PREEMPT: Verb = { path: "preempt", done: "The job saves a checkpoint and gives up its slot." };

export function JobActions({ job, onChange }: { job: Job; onChange: (job?: Job) => void }) {
  const { session } = useSession();
  const [asked, setAsked] = useState<"cancel" | "preempt" | null>(null);
  const [isBusy, setBusy] = useState(false);

  async function act(verb: Verb): Promise<void> {
    const answer = await request<Job>("POST", `/jobs/${job.id}/${verb.path}`);
    // A job that is still waiting has nothing to save first.
    toast("done", verb === PAUSE && answer.status === "paused" ? "The job is paused." : verb.done);
    onChange(answer);
  }

  function press(verb: Verb): void {
    setBusy(true);
    act(verb)
      .catch((caught: unknown) => toast("failed", asError(caught).message))
      .finally(() => setBusy(false));
  }

  const isRunning = job.status === "running";
  const isStopping = isRunning && job.stop_requested;
  return (
    <div class="row">
      {isRunning && (
        <Action
          icon="save"
          name="Save now"
          disabled={isBusy || isStopping || job.checkpoint_requested}
          onClick={() => press(SAVE)}
        />
      )}
      {(isRunning || job.status === "queued") && (
        <Action icon="pause" name="Pause" disabled={isBusy || isStopping} onClick={() => press(PAUSE)} />
      )}
      {job.status === "paused" && (
        <Action icon="play" name="Resume" primary disabled={isBusy} onClick={() => press(RESUME)} />
      )}
      {isStopping && job.stop_kind === "pause" && (
        <Action icon="play" name="Resume" disabled={isBusy} onClick={() => press(RESUME)} />
      )}
      {isRunning && session.is_operator && (
        <Action icon="preempt" name="Preempt" disabled={isBusy || isStopping} onClick={() => setAsked("preempt")} />
      )}
      {!hasEnded(job.status) && (
        <Action
          icon="stop"
          name="Cancel"
          danger
          disabled={isBusy || (isStopping && job.stop_kind === "cancel")}
          onClick={() => setAsked("cancel")}
        />
      )}
      {job.attempt > 0 && (
        <Link class="button" to="/compare" query={{ jobs: job.id }}>
          <Icon name="compare" /> Compare
        </Link>
      )}
      <Link class={`button ${job.status === "failed" ? "primary" : ""}`} to="/new-job" query={{ from: job.id }}>
        <Icon name="copy" /> Clone with changes
      </Link>
      {job.status === "succeeded" && (
        <a class="button primary" href={`/jobs/${job.id}/bundle`} download>
          <Icon name="download" /> Download the bundle
        </a>
      )}
      {asked === "cancel" && (
        <Confirm
          title="Cancel this job?"
          action="Cancel the job"
          onClose={() => setAsked(null)}
          act={() =>
            act({ path: "cancel", done: isRunning ? "The job stops after this step." : "The job was cancelled." })
          }
        >
          <p>
            {isRunning
              ? "It stops after the current step and makes no bundle. To resume later, pause it instead."
              : "It ends immediately and makes no bundle."}
          </p>
        </Confirm>
      )}
      {asked === "preempt" && (
        <Confirm
          title="Preempt this job?"
          action="Preempt the job"
          onClose={() => setAsked(null)}
          act={() => act(PREEMPT)}
        >
          <p>
            It saves a checkpoint after the current step, leaves the slot to the next job, and returns to the queue.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function Action({
  icon,
  name,
  disabled,
  onClick,
  primary = false,
  danger = false,
}: {
  icon: IconName;
  name: string;
  disabled: boolean;
  onClick: () => void;
  primary?: boolean;
  danger?: boolean;
}) {
  return (
    <button type="button" class={primary ? "primary" : danger ? "danger" : ""} disabled={disabled} onClick={onClick}>
      <Icon name={icon} /> {name}
    </button>
  );
}
