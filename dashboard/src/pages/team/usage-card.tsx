// Shows a team's usage, day by day.

import { useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Usage } from "../../api/types";
import { countOf } from "../../lib/format";
import { Choices } from "../../ui/choices";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { formatSlotTime, makeUsageBars } from "./usage-view";

const SPANS = [7, 30, 90].map((days) => [days, `${days} days`] as const);
const POLL_MS = 60_000;

/** A `team` of null is the reader's own team. */
export function UsageCard({ team }: { team: string | null }) {
  const [days, setDays] = useState(30);
  const base = team === null ? "/team/usage" : `/teams/${encodeURIComponent(team)}/usage`;
  const usage = usePoll<Usage>(`${base}${makeQuery({ days })}`, POLL_MS);
  const total = usage.data?.days.reduce((sum, day) => sum + day.slot_seconds, 0) ?? 0;
  return (
    <section class="card" aria-labelledby="usage-title">
      <div class="card-head">
        <h2 id="usage-title">Slot time by day</h2>
        <Choices label="Days shown" options={SPANS} value={days} onChange={setDays} />
      </div>
      <div class="card-body stack">
        {usage.data ? (
          <UsageChart usage={usage.data} />
        ) : usage.error ? (
          <ErrorBox error={usage.error} />
        ) : (
          <Skeleton lines={5} />
        )}
        {usage.data && (
          <p class="hint">
            {formatSlotTime(total)} in {days} days. Days are in UTC; a second on a slot is multiplied by the slot's
            size.
          </p>
        )}
      </div>
    </section>
  );
}

function UsageChart({ usage }: { usage: Usage }) {
  const { bars, topHours } = makeUsageBars(usage.days);
  return (
    <div class="team-chart">
      <div class="team-chart-axis" aria-hidden="true">
        <span>{topHours} h</span>
        <span>{topHours / 2} h</span>
        <span>0</span>
      </div>
      <div class="team-chart-bars" role="img" aria-label={describe(usage)}>
        {bars.map((bar) => (
          <div
            key={bar.date}
            class="team-bar"
            title={`${bar.date}: ${formatSlotTime(bar.hours * 3600)}, ${countOf(bar.runs, "run")}`}
          >
            <span style={{ height: `${bar.share * 100}%` }} />
          </div>
        ))}
      </div>
      <div class="team-chart-dates" aria-hidden="true">
        <span>{bars[0]?.date}</span>
        <span>{bars.at(-1)?.date}</span>
      </div>
    </div>
  );
}

function describe(usage: Usage): string {
  const busiest = [...usage.days].sort((one, other) => other.slot_seconds - one.slot_seconds)[0];
  const first = `Slot time a day over ${usage.days.length} days.`;
  return busiest?.slot_seconds
    ? `${first} Most on ${busiest.date}: ${formatSlotTime(busiest.slot_seconds)}.`
    : `${first} None.`;
}
