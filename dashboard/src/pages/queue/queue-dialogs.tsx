// The dialogs in which the operator holds or moves a job.

import { useState } from "preact/hooks";
import { request } from "../../api/client";
import type { QueueEntry } from "../../api/types";
import { FormDialog } from "../../ui/form-dialog";
import { toast } from "../../ui/toasts";

type QueuedJob = NonNullable<QueueEntry["job"]>;

export function HoldDialog({ job, onClose, onDone }: { job: QueuedJob; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState("");
  return (
    <FormDialog
      title={`Hold ${job.name}`}
      action="Hold the job"
      onClose={onClose}
      send={async () => {
        await request("POST", `/queue/${job.id}/hold`, { body: { reason } });
        toast("done", `${job.name} is held until you release it.`);
        onDone();
      }}
    >
      <p class="hint">
        No slot takes the job until you release it. It keeps its age in the queue, and its team sees the reason.
      </p>
      <label class="field">
        <span class="field-name">Reason</span>
        <input
          required
          maxLength={200}
          value={reason}
          placeholder="the server gets new drivers tonight"
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
    </FormDialog>
  );
}

export function MoveDialog({
  job,
  position,
  onClose,
  onDone,
}: {
  job: QueuedJob;
  position: number | null;
  onClose: () => void;
  onDone: () => void;
}) {
  const [wanted, setWanted] = useState(String(position ?? 1));
  return (
    <FormDialog
      title={`Move ${job.name}`}
      action="Move the job"
      onClose={onClose}
      send={async () => {
        await request("POST", `/queue/${job.id}/move`, { body: { position: Number(wanted) } });
        toast("done", `${job.name} is now no. ${wanted}.`);
        onDone();
      }}
    >
      <p class="hint">
        1 is next. The jobs before it keep their current order; “Unpin” returns the job to the order of the queue's
        rules.
      </p>
      <label class="field">
        <span class="field-name">Place in the queue</span>
        <input
          type="number"
          required
          min={1}
          max={1000}
          step={1}
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      </label>
    </FormDialog>
  );
}
