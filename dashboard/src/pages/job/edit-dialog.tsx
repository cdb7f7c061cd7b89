// Changes the name of a job and, until it has ended, its priority.

import { useState } from "preact/hooks";
import { type ApiError, asError, request } from "../../api/client";
import type { Job } from "../../api/types";
import { hasEnded } from "../../lib/jobs-view";
import { Dialog } from "../../ui/dialog";
import { toast } from "../../ui/toasts";

export function EditDialog({
  job,
  onClose,
  onChange,
}: {
  job: Job;
  onClose: () => void;
  onChange: (job: Job) => void;
}) {
  const [name, setName] = useState(job.name);
  const [priority, setPriority] = useState(String(job.priority));
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);

  async function save(): Promise<void> {
    setBusy(true);
    setError(null);
    const body: Record<string, unknown> = {};
    if (name !== job.name) body.name = name;
    if (Number(priority) !== job.priority) body.priority = Number(priority);
    try {
      onChange(await request<Job>("PATCH", `/jobs/${job.id}`, { body }));
      toast("done", "The job was changed.");
      onClose();
    } catch (caught) {
      setError(asError(caught));
      setBusy(false);
    }
  }

  const say = (field: string) => error?.problems.find((each) => each.field === field)?.message;
  const rest = error && !say("name") && !say("priority") ? error.message : "";
  return (
    <Dialog title="Name and priority" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <div class="job-dialog-body">
          <label class="field">
            <span class="field-name">Name</span>
            <input
              value={name}
              required
              maxLength={200}
              aria-invalid={Boolean(say("name"))}
              onInput={(event) => setName(event.currentTarget.value)}
            />
            <span class="problem" role="alert">
              {say("name")}
            </span>
          </label>
          {!hasEnded(job.status) && (
            <label class="field">
              <span class="field-name">Priority</span>
              <input
                type="number"
                value={priority}
                required
                min={-100}
                max={100}
                aria-invalid={Boolean(say("priority"))}
                onInput={(event) => setPriority(event.currentTarget.value)}
              />
              <span class="hint">From -100 to 100. Higher goes first, among your team's jobs of the same class.</span>
              <span class="problem" role="alert">
                {say("priority")}
              </span>
            </label>
          )}
        </div>
        {rest && (
          <p class="problem job-dialog-problem" role="alert">
            {rest}
          </p>
        )}
        <footer class="job-dialog-footer">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            Save
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
