// What the operator is asked before a job is held or moved.

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
      action="Hold it"
      onClose={onClose}
      send={async () => {
        await request("POST", `/queue/${job.id}/hold`, { body: { reason } });
        toast("done", `${job.name} is held until you release it.`);
        onDone();
      }}
    >
      <p class="hint">No slot takes it until it is released. It keeps its age, and its team reads the reason.</p>
      <label class="field">
        <span class="field-name">Reason</span>
        <input
          required
          maxLength={200}
          value={reason}
          placeholder="the box gets new drivers tonight"
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
      action="Move it"
      onClose={onClose}
      send={async () => {
        await request("POST", `/queue/${job.id}/move`, { body: { position: Number(wanted) } });
        toast("done", `${job.name} is no. ${wanted} now.`);
        onDone();
      }}
    >
      <p class="hint">1 is next. The jobs before it keep their present order; “Unpin” gives it back to the rule.</p>
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
