// The page that compares jobs: their losses in one chart, their figures, and the differences of their configs.

import { useMemo, useRef, useState } from "preact/hooks";
import { type LineLook, LineSwatch } from "../../charts/line-swatch";
import { MAX_CHOSEN } from "../../lib/jobs-view";
import { Link, navigate, type Route } from "../../router";
import { Empty, Skeleton, StaleNotice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { StatusBadge } from "../../ui/job-parts";
import { type ChartView, LossChart, type ShownJob } from "./chart";
import { keepPlaces, labelJobs, parseIds } from "./compared";
import { findLook, SWATCH_LENGTH } from "./looks";
import { Picker } from "./picker";
import { ConfigsTable, FiguresTable } from "./tables";
import { type Followed, useCompared } from "./use-compared";
import "./compare.css";

export function ComparePage({ route }: { route: Route }) {
  const asked = route.query.get("jobs");
  const ids = useMemo(() => parseIds(asked), [asked]);
  const view: ChartView = {
    x: route.query.get("x") === "time" ? "time" : "step",
    isLog: route.query.get("log") === "1",
    isEval: route.query.get("eval") === "1",
  };
  const [isPicking, setPicking] = useState(false);
  const find = useCompared(ids);
  const places = useRef(new Map<string, number>());
  places.current = keepPlaces(places.current, ids);
  const lookOf = (id: string) => findLook(places.current.get(id) ?? 0);

  function go(nextIds: string[], nextView: ChartView = view): void {
    const { x, isLog, isEval } = nextView;
    navigate(
      "/compare",
      { jobs: nextIds.join(","), x: x === "time" ? x : null, log: isLog ? "1" : null, eval: isEval ? "1" : null },
      { replace: true },
    );
  }

  const followed = ids.map(find);
  const found = followed.flatMap((each) => (each.found ? [each.found] : []));
  // New objects are made only for new points, because the chart is redrawn for each new object.
  const jobs = useRef<ShownJob[]>([]);
  jobs.current = keepSame(
    jobs.current,
    labelJobs(found.map(({ job }) => job)).map((label, index) => {
      const each = found[index] as (typeof found)[number];
      return { ...each, label, look: lookOf(each.job.id) };
    }),
  );
  const isLoading = followed.some((each) => !each.found && !each.error);
  const lost = followed.find((each) => each.error?.isUnreachable)?.error;

  return (
    <>
      <header class="page-head">
        <h1>Compare jobs</h1>
        <Link to="/jobs" class="button compare-all">
          All jobs
        </Link>
        <button type="button" class="primary" disabled={ids.length >= MAX_CHOSEN} onClick={() => setPicking(true)}>
          <Icon name="plus" /> Add jobs
        </button>
      </header>
      {ids.length === 0 ? (
        <div class="card">
          <Empty icon="compare" title="No jobs are chosen">
            <p>
              Choose up to {MAX_CHOSEN} jobs to see their losses in one chart, and the differences of their configs.
            </p>
            <button type="button" class="primary" onClick={() => setPicking(true)}>
              <Icon name="plus" /> Add jobs
            </button>
          </Empty>
        </div>
      ) : (
        <div class="stack">
          <ul class="compare-chosen" aria-label="Jobs in the comparison">
            {ids.map((id, index) => (
              <Chosen
                key={id}
                id={id}
                look={lookOf(id)}
                followed={followed[index] as Followed}
                onRemove={() => go(ids.filter((each) => each !== id))}
              />
            ))}
            {ids.length === 1 && <li class="compare-hint soft">Add a second job to compare it with.</li>}
          </ul>
          {jobs.current.length > 0 ? (
            <>
              <LossChart jobs={jobs.current} view={view} change={(part) => go(ids, { ...view, ...part })} />
              <FiguresTable jobs={jobs.current} />
              <ConfigsTable jobs={jobs.current} />
            </>
          ) : (
            isLoading && (
              <div class="card compare-loading">
                <Skeleton lines={10} />
              </div>
            )
          )}
        </div>
      )}
      {isPicking && <Picker ids={ids} onPick={(picked) => go(picked)} onClose={() => setPicking(false)} />}
      <StaleNotice error={lost} />
    </>
  );
}

function keepSame(before: ShownJob[], now: ShownJob[]): ShownJob[] {
  const isSame =
    before.length === now.length &&
    now.every((each, index) => {
      const old = before[index];
      return (
        old?.job === each.job &&
        old.curves === each.curves &&
        old.label === each.label &&
        old.look.color === each.look.color
      );
    });
  return isSame ? before : now;
}

function Chosen({
  id,
  look,
  followed: { found, error },
  onRemove,
}: {
  id: string;
  look: LineLook;
  followed: Followed;
  onRemove: () => void;
}) {
  const name = found?.job.name ?? id;
  return (
    <li class="card">
      {found || !error ? <LineSwatch look={look} length={SWATCH_LENGTH} /> : <Icon name="alert" />}
      {found ? (
        <Link to={`/jobs/${id}`} title={name}>
          {name}
        </Link>
      ) : (
        <span class="mono" title={id}>
          {id}
        </span>
      )}
      {found ? (
        <StatusBadge status={found.job.status} />
      ) : error && !error.isUnreachable ? (
        <small class="problem">{error.message}</small>
      ) : (
        <small class="soft">loading …</small>
      )}
      <button type="button" class="quiet" aria-label={`Remove ${name}`} title="Remove" onClick={onRemove}>
        <Icon name="close" />
      </button>
    </li>
  );
}
