// The dialog in which the operator sets a team's weight and quotas.

import { useState } from "preact/hooks";
import { ApiError, request } from "../../api/client";
import type { Team } from "../../api/types";
import { FormDialog } from "../../ui/form-dialog";
import { toast } from "../../ui/toasts";
import { readQuota } from "./usage-view";

const HOUR_SECONDS = 3600;
const CLASSES: Team["max_priority_class"][] = ["low", "normal", "urgent"];

function show(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : String(value);
}

export function QuotaDialog({ team, onClose, onDone }: { team: Team; onClose: () => void; onDone: () => void }) {
  const [weight, setWeight] = useState(String(team.weight));
  const [running, setRunning] = useState(show(team.max_running));
  const [queued, setQueued] = useState(show(team.max_queued));
  const [hours, setHours] = useState(
    show(team.max_slot_seconds === null ? null : team.max_slot_seconds / HOUR_SECONDS),
  );
  const [highest, setHighest] = useState(team.max_priority_class);

  async function send(): Promise<void> {
    const maxHours = read("Slot hours", hours);
    const body = {
      weight: Number(weight),
      max_running: read("Jobs running", running),
      max_queued: read("Jobs waiting", queued),
      max_slot_seconds: maxHours === null ? null : maxHours * HOUR_SECONDS,
      max_priority_class: highest,
    };
    await request<Team>("PATCH", `/teams/${encodeURIComponent(team.id)}`, { body });
    toast("done", `${team.name} was changed. The change also applies to jobs that are already waiting.`);
    onDone();
  }

  return (
    <FormDialog title={`Weight and quotas of ${team.name}`} action="Save" onClose={onClose} send={send}>
      <p class="hint">Leave a quota empty for no limit.</p>
      <div class="team-fields">
        <label class="field">
          <span class="field-name">Weight</span>
          <input
            type="number"
            required
            min={0.01}
            step="any"
            value={weight}
            onInput={(event) => setWeight(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span class="field-name">Highest class</span>
          <select value={highest} onChange={(event) => setHighest(event.currentTarget.value as typeof highest)}>
            {CLASSES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <Quota name="Jobs running at a time" value={running} onChange={setRunning} />
        <Quota name="Jobs waiting" value={queued} onChange={setQueued} />
        <Quota name="Slot hours in the window" value={hours} onChange={setHours} step="any" />
      </div>
    </FormDialog>
  );
}

function Quota({
  name,
  value,
  onChange,
  step = 1,
}: {
  name: string;
  value: string;
  onChange: (value: string) => void;
  step?: number | "any";
}) {
  return (
    <label class="field">
      <span class="field-name">{name}</span>
      <input
        type="number"
        min={0}
        step={step}
        placeholder="no limit"
        value={value}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

function read(name: string, text: string): number | null {
  const value = readQuota(text);
  if (value === undefined)
    throw new ApiError(422, "request_invalid", `${name}: enter a number of at least 0, or leave it empty.`);
  return value;
}
