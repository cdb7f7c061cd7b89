// Shows a team's share of the slots, and its quotas.

import type { Team } from "../../api/types";
import { formatCount, formatShare } from "../../lib/format";
import { formatSlotTime } from "./usage-view";

export function ShareCard({ team }: { team: Team }) {
  return (
    <section class="card" aria-labelledby="share-title">
      <h2 id="share-title">Share and quotas</h2>
      <div class="card-body team-meters">
        <Meter
          name="Recently used"
          text={`${formatShare(team.used_share)}, with a share of ${formatShare(team.share)}`}
          value={team.used_share}
          max={1}
          hint="The part of all teams' use, in which older use counts less: half as much after each half-life. A team below its share goes first."
        />
        <Meter
          name="Running"
          text={withLimit(formatCount(team.running_count), limitOf(team.max_running, formatCount))}
          value={team.running_count}
          max={team.max_running ?? null}
        />
        <Meter
          name="Waiting"
          text={withLimit(formatCount(team.queued_count), limitOf(team.max_queued, formatCount))}
          value={team.queued_count}
          max={team.max_queued ?? null}
        />
        <Meter
          name="Slot time in the window"
          text={withLimit(formatSlotTime(team.window_seconds), limitOf(team.max_slot_seconds, formatSlotTime))}
          value={team.window_seconds}
          max={team.max_slot_seconds ?? null}
        />
        <p class="hint">
          Weight {team.weight} · highest class <b>{team.max_priority_class}</b>
        </p>
      </div>
    </section>
  );
}

function limitOf(value: number | null | undefined, format: (value: number) => string): string | null {
  return value === null || value === undefined ? null : format(value);
}

function withLimit(text: string, limit: string | null): string {
  return limit === null ? `${text} · no limit` : `${text} of ${limit}`;
}

function Meter({
  name,
  text,
  value,
  max,
  hint,
}: {
  name: string;
  text: string;
  value: number;
  /** A `max` of null means no limit, so there is nothing to measure against. */
  max: number | null;
  hint?: string;
}) {
  const share = max ? Math.min(value / max, 1) : max === 0 ? 1 : 0;
  return (
    <div class={`team-meter${max !== null && value >= max && max !== 1 ? " over" : ""}`}>
      <span>
        {name} <b>{text}</b>
      </span>
      {max !== null && <progress max={1} value={share} aria-label={`${name}: ${text}`} />}
      {hint && <small class="hint">{hint}</small>}
    </div>
  );
}
