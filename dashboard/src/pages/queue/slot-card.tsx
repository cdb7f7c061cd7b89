// The card of one GPU (or the CPU): its kind, its state, and the job that runs there.

import { useState } from "preact/hooks";
import { asError, request } from "../../api/client";
import type { Slot } from "../../api/types";
import { formatBytes, formatShare } from "../../lib/format";
import { Link } from "../../router";
import { useSession } from "../../session";
import { Confirm } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toasts";
import { describeRelease } from "./slot-order";

const STATUS_WORDS: Record<Slot["status"], string> = {
  idle: "Idle",
  running: "Running",
  blocked: "Blocked",
  drained: "Drained",
  away: "Away",
};

export function SlotCard({ slot, onChange }: { slot: Slot; onChange: () => void }) {
  const { session } = useSession();
  return (
    <article class="card slot">
      <div class="slot-head">
        <div>
          <h3>{slot.name}</h3>
          <small class="soft">
            {slot.gpu_name ?? (slot.device === "cpu" ? "CPU" : slot.device)}
            {!slot.is_other_release && ` · ${describeRelease(slot)}`}
          </small>
        </div>
        <span class={`badge ${slot.status}`}>
          <span class="dot" aria-hidden="true" />
          {STATUS_WORDS[slot.status]}
        </span>
      </div>
      {slot.is_other_release && <span class="badge warn slot-release">{describeRelease(slot)}</span>}
      <div class="slot-job">
        {slot.job?.is_own ? (
          <Link to={`/jobs/${slot.job.id}`}>{slot.job.name}</Link>
        ) : slot.job ? (
          slot.job.name
        ) : (
          <span class="soft">
            {slot.status === "running" ? "a job of another team" : (slot.blocked_reason ?? restOf(slot))}
          </span>
        )}
      </div>
      {slot.memory_bytes !== null && (
        <div class="slot-meters">
          {slot.memory_used_bytes !== null ? (
            <Meter
              name="Memory"
              share={slot.memory_used_bytes / slot.memory_bytes}
              text={`${formatBytes(slot.memory_used_bytes)} of ${formatBytes(slot.memory_bytes)}`}
            />
          ) : (
            <div class="slot-meter">
              <span>
                Memory <b>{formatBytes(slot.memory_bytes)}</b>
              </span>
            </div>
          )}
          {slot.utilization_percent !== null && (
            <Meter
              name="Utilisation"
              share={slot.utilization_percent / 100}
              text={formatShare(slot.utilization_percent / 100)}
            />
          )}
        </div>
      )}
      {slot.temperature_celsius !== null && (
        <div class="slot-numbers">
          <span>{Math.round(slot.temperature_celsius)} °C</span>
          {slot.power_watts !== null && <span>{Math.round(slot.power_watts)} W</span>}
        </div>
      )}
      <footer>
        <span>
          last seen <Time at={slot.seen_at} />
        </span>
        {session.is_operator && (
          <span class="slot-actions">
            {slot.job && <PreemptButton job={slot.job} onChange={onChange} />}
            <DrainButton slot={slot} onChange={onChange} />
          </span>
        )}
      </footer>
    </article>
  );
}

function restOf(slot: Slot): string {
  switch (slot.status) {
    case "drained":
      return "takes no new jobs: drained by the operator";
    case "away":
      return "its worker is not responding";
    default:
      return "free for the next job";
  }
}

function Meter({ name, share, text }: { name: string; share: number; text: string }) {
  return (
    <div class="slot-meter">
      <span>
        {name} <b>{text}</b>
      </span>
      <progress max={1} value={Math.min(share, 1)} aria-label={`${name}: ${text}`} />
    </div>
  );
}

function PreemptButton({ job, onChange }: { job: NonNullable<Slot["job"]>; onChange: () => void }) {
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <button type="button" class="small" onClick={() => setAsking(true)} aria-label={`Preempt ${job.name}`}>
        <Icon name="preempt" /> Preempt
      </button>
      {isAsking && (
        <Confirm
          title={`Preempt ${job.name}?`}
          action="Preempt the job"
          onClose={() => setAsking(false)}
          act={async () => {
            await request("POST", `/jobs/${job.id}/preempt`);
            toast("done", `${job.name} saves a checkpoint and returns to the queue.`);
            onChange();
          }}
        >
          <p>It saves a checkpoint, gives its slot to the next job, and resumes later from the checkpoint.</p>
        </Confirm>
      )}
    </>
  );
}

function DrainButton({ slot, onChange }: { slot: Slot; onChange: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const isDrained = slot.drained_at !== null;
  async function change(): Promise<void> {
    setBusy(true);
    try {
      await request<Slot>("POST", `/slots/${encodeURIComponent(slot.name)}/${isDrained ? "resume" : "drain"}`);
      toast(
        "done",
        isDrained ? `${slot.name} takes jobs again.` : `${slot.name} takes no new jobs; a running job continues.`,
      );
    } catch (error) {
      toast("failed", asError(error).message);
    } finally {
      setBusy(false);
      onChange();
    }
  }
  return (
    <button type="button" class="small" disabled={isBusy} onClick={() => void change()}>
      <Icon name={isDrained ? "play" : "hold"} />
      {isDrained ? "Take jobs again" : "Drain"}
    </button>
  );
}
