// One line that summarises the team's jobs and the installation's slots.

import { usePoll } from "../../api/poll";
import type { Items, JobOverview, Slot } from "../../api/types";
import { formatCount } from "../../lib/format";
import { describeSlots } from "../../lib/jobs-view";
import { Link } from "../../router";
import "./summary.css";

const SLOTS_POLL_MS = 10_000;

export function Summary({ counts }: { counts: JobOverview["counts"] | undefined }) {
  const { data: slots } = usePoll<Items<Slot>>("/slots", SLOTS_POLL_MS);
  const busy = slots && describeSlots(slots.items);
  return (
    <p class="jobs-summary soft">
      {counts ? (
        <>
          <span>
            <b>{formatCount(counts.running ?? 0)}</b> running
          </span>
          <span>
            <b>{formatCount(counts.queued ?? 0)}</b> waiting
          </span>
        </>
      ) : (
        <span>…</span>
      )}
      {busy && (
        <span>
          <Link to="/queue">{busy.name}</Link> {busy.openCount === 0 && busy.busyCount === 0 ? "" : "busy "}
          {busy.openCount === 0 && busy.busyCount === 0 ? (
            "none open"
          ) : (
            <b>
              {busy.busyCount} of {busy.openCount}
            </b>
          )}
          {busy.note && <span class="jobs-slots-note">, {busy.note}</span>}
        </span>
      )}
    </p>
  );
}
