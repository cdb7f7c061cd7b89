// The row of one job in the table.

import type { JobRow } from "../../../api/types";
import { formatDate, NONE } from "../../../lib/format";
import {
  describeDuration,
  describePlace,
  describeStatus,
  formatLoss,
  formatRoughly,
  formatSpeed,
  hasEnded,
} from "../../../lib/jobs-view";
import { Link } from "../../../router";
import { Progress, Sparkline, StatusBadge } from "../../../ui/job-parts";
import { Time } from "../../../ui/time";
import type { JobActions } from "../actions";
import { RowMenu } from "./row-menu";
import "./row.css";

const SPARKLINE_WIDTH = 76;

export function JobsRow({
  row,
  isChanged,
  isChosen,
  isFull,
  onToggle,
  actions,
}: {
  row: JobRow;
  isChanged: boolean;
  isChosen: boolean;
  isFull: boolean;
  onToggle: (row: JobRow) => void;
  actions: JobActions;
}) {
  const why = describeStatus(row);
  const isNew = row.step === 0 && row.last_loss === null;
  const classes = [
    isChanged && "is-changed",
    isChosen && "is-chosen",
    isNew && "is-new",
    hasEnded(row.status) && "has-ended",
  ]
    .filter(Boolean)
    .join(" ");
  return (
    <tr class={classes} data-job={row.id}>
      <td class="jobs-pick">
        <input
          type="checkbox"
          aria-label={`Choose ${row.name}`}
          checked={isChosen}
          disabled={isFull && !isChosen}
          onChange={() => onToggle(row)}
        />
      </td>
      <td class="jobs-name">
        <Link to={`/jobs/${row.id}`} class="jobs-link" title={row.name}>
          {row.name}
        </Link>
        <small title={`${row.base_model}, ${row.dataset_name}`}>
          {row.base_model} · {row.dataset_name}
        </small>
      </td>
      <td class="jobs-status">
        <span class="jobs-badges">
          <StatusBadge status={row.status} note={describePlace(row)} />
          {row.priority_class !== "normal" && <span class="jobs-class">{row.priority_class}</span>}
        </span>
        <small class={row.status === "failed" ? "problem" : ""} title={why}>
          {why}
        </small>
      </td>
      <td class="jobs-progress">
        <Progress step={row.step} total={row.total_steps} label={`Progress of ${row.name}`} />
      </td>
      <td class="jobs-ends">
        <Ends row={row} />
      </td>
      <td class="jobs-loss">
        <span class="number">{formatLoss(row.last_loss)}</span>
        <Sparkline losses={row.losses} width={SPARKLINE_WIDTH} />
      </td>
      <td class="jobs-speed number">{formatSpeed(row.tokens_per_second)}</td>
      <td class="jobs-posted">
        <Time at={row.created_at} />
        <small title={row.posted_by ?? undefined}>{row.posted_by ? `by ${row.posted_by}` : ""}</small>
      </td>
      <td class="jobs-menu">
        <RowMenu row={row} onVerb={(verb) => actions.run(row, verb)} />
      </td>
    </tr>
  );
}

/** When the job will end or has ended; for a waiting job, when it is expected to start. */
function Ends({ row }: { row: JobRow }) {
  if (hasEnded(row.status)) {
    const took = describeDuration(row, new Date());
    return (
      <>
        <Time at={row.finished_at} />
        <small>{took ? `took ${took}` : "never started"}</small>
      </>
    );
  }
  if (row.status === "running") {
    return (
      <>
        <span class="number">{row.eta_seconds === null ? NONE : `${formatRoughly(row.eta_seconds)} left`}</span>
        {row.started_at && (
          <small title={`since ${formatDate(new Date(row.started_at))}`}>for {describeDuration(row, new Date())}</small>
        )}
      </>
    );
  }
  if (row.status === "queued" && row.starts_at) {
    return (
      <>
        <Time at={row.starts_at} />
        <small>expected start</small>
      </>
    );
  }
  return <span>{NONE}</span>;
}
