// The table of the waiting jobs, with the operator's actions on each.

import { useState } from "preact/hooks";
import { asError, request } from "../../api/client";
import type { Queue, QueueEntry } from "../../api/types";
import { countOf, formatAbout } from "../../lib/format";
import { Link } from "../../router";
import { useSession } from "../../session";
import { Empty } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toasts";
import { findStep, gatherRows, type QueueRow } from "./entries";
import { HoldDialog, MoveDialog } from "./queue-dialogs";

type QueuedJob = NonNullable<QueueEntry["job"]>;
type Shown = { kind: "hold" | "move"; job: QueuedJob; position: number | null } | null;

export function QueueTable({ queue, onChange }: { queue: Queue; onChange: () => void }) {
  const { session } = useSession();
  const [shown, setShown] = useState<Shown>(null);
  if (queue.total_count === 0) {
    return (
      <Empty icon="queue" title="No jobs are waiting">
        <p>The first free slot takes the next job that is posted.</p>
      </Empty>
    );
  }
  const lastPosition = Math.max(0, ...queue.items.map((entry) => entry.position ?? 0));

  async function act(job: QueuedJob, verb: "release" | "move", body: unknown, done: string): Promise<void> {
    try {
      await request("POST", `/queue/${job.id}/${verb}`, body === undefined ? {} : { body });
      toast("done", done);
    } catch (error) {
      toast("failed", asError(error).message);
    }
    onChange();
  }

  return (
    <>
      <div class="table-box">
        <table class="cards">
          <thead>
            <tr>
              <th class="queue-position">Place</th>
              <th>Job</th>
              <th>Team</th>
              <th>Why it waits</th>
              <th>Starts</th>
              <th class="queue-wide">Duration</th>
              {session.is_operator && (
                <th>
                  <span class="hidden-text">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {gatherRows(queue.items).map((row) =>
              row.kind === "others" ? (
                <OthersRow key={`others-${row.from ?? "none"}`} row={row} columns={session.is_operator ? 6 : 5} />
              ) : (
                <tr key={row.job.id}>
                  <td class="queue-position" data-label="Place">
                    {row.entry.position ?? <span title="This job is not in turn at present.">–</span>}
                  </td>
                  <td class="queue-job" data-label="Job">
                    <span>
                      {row.job.team === session.team.name ? (
                        <Link to={`/jobs/${row.job.id}`}>{row.job.name}</Link>
                      ) : (
                        row.job.name
                      )}
                      {row.job.is_pinned && <span class="badge pin">placed by the operator</span>}
                      <small>
                        {row.job.priority_class}
                        {row.job.priority !== 0 && ` · priority ${row.job.priority}`}
                        {row.job.attempt > 0 && " · resumes after an earlier run"} · posted{" "}
                        <Time at={row.job.created_at} />
                      </small>
                    </span>
                  </td>
                  <td data-label="Team">{row.job.team}</td>
                  <td data-label="Why it waits">{row.entry.reason?.message ?? "–"}</td>
                  <td data-label="Starts" class="queue-short">
                    {row.entry.starts_at ? <Time at={row.entry.starts_at} /> : <span class="soft">not known</span>}
                  </td>
                  <td data-label="Duration" class="soft queue-short queue-wide">
                    {row.job.expected_seconds ? formatAbout(row.job.expected_seconds) : "–"}
                  </td>
                  {session.is_operator && (
                    <td>
                      <OperatorButtons
                        entry={row.entry}
                        job={row.job}
                        lastPosition={lastPosition}
                        act={act}
                        onShow={setShown}
                      />
                    </td>
                  )}
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
      {shown?.kind === "hold" && <HoldDialog job={shown.job} onClose={() => setShown(null)} onDone={onChange} />}
      {shown?.kind === "move" && (
        <MoveDialog job={shown.job} position={shown.position} onClose={() => setShown(null)} onDone={onChange} />
      )}
    </>
  );
}

function OthersRow({ row, columns }: { row: Extract<QueueRow, { kind: "others" }>; columns: number }) {
  const place = row.from === null ? "–" : row.from === row.to ? row.from : `${row.from}–${row.to}`;
  return (
    <tr class="queue-others">
      <td class="queue-position" data-label="Place">
        {place}
      </td>
      <td colSpan={columns} data-label="Jobs">
        {countOf(row.count, "job")} of other teams
      </td>
    </tr>
  );
}

function OperatorButtons({
  entry,
  job,
  lastPosition,
  act,
  onShow,
}: {
  entry: QueueEntry;
  job: QueuedJob;
  lastPosition: number;
  act: (job: QueuedJob, verb: "release" | "move", body: unknown, done: string) => Promise<void>;
  onShow: (shown: Shown) => void;
}) {
  const position = entry.position ?? null;
  const isHeld = entry.reason?.code === "held";
  const up = findStep(position, -1, lastPosition);
  const down = findStep(position, 1, lastPosition);
  return (
    <div class="queue-actions">
      {up !== null && (
        <button
          type="button"
          class="quiet queue-step"
          aria-label={`Move ${job.name} one place up`}
          title="One place up"
          onClick={() => void act(job, "move", { position: up }, `${job.name} is now no. ${up}.`)}
        >
          <Icon name="up" />
        </button>
      )}
      {down !== null && (
        <button
          type="button"
          class="quiet queue-step"
          aria-label={`Move ${job.name} one place down`}
          title="One place down"
          onClick={() => void act(job, "move", { position: down }, `${job.name} is now no. ${down}.`)}
        >
          <Icon name="down" />
        </button>
      )}
      <button type="button" class="quiet small" onClick={() => onShow({ kind: "move", job, position })}>
        Move …
      </button>
      {job.is_pinned && (
        <button
          type="button"
          class="quiet small"
          onClick={() =>
            void act(job, "move", { position: null }, `${job.name} is back in the order of the queue's rules.`)
          }
        >
          Unpin
        </button>
      )}
      {isHeld ? (
        <button
          type="button"
          class="small"
          onClick={() => void act(job, "release", undefined, `${job.name} is released.`)}
        >
          Release
        </button>
      ) : (
        <button type="button" class="small" onClick={() => onShow({ kind: "hold", job, position })}>
          Hold
        </button>
      )}
    </div>
  );
}
