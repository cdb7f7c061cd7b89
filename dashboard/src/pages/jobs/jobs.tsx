// The page of the team's jobs: a live table, filtered by the address, with actions on one job or several.

import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { JobOverview, JobRow } from "../../api/types";
import { isFiltered, type JobsView, PAGE_LENGTH, readView, writeView } from "../../lib/jobs-view";
import { Link, navigate, type Route } from "../../router";
import { ErrorBox, StaleNotice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { type Ask, AskDialog, useJobActions } from "./actions";
import { useStatusChanges } from "./changes";
import { ChosenBar, useChosen } from "./chosen";
import { Filters } from "./filters";
import { FirstSteps } from "./first-steps";
import { KeysDialog, useJobKeys } from "./keys";
import { Summary } from "./summary";
import { Pager } from "./table/pager";
import { JobsTable, TableSkeleton } from "./table/table";
import "./jobs.css";

export function JobsPage({ route }: { route: Route }) {
  const search = route.query.toString();
  const view = useMemo(() => readView(new URLSearchParams(search)), [search]);
  const path = `/jobs:overview${makeQuery({
    status: view.statuses,
    search: view.search.trim(),
    sort: view.sort,
    offset: (view.page - 1) * PAGE_LENGTH || null,
    limit: PAGE_LENGTH,
  })}`;
  const { data, error, refresh } = usePoll<JobOverview>(path);
  // The previous rows stay, paler, until those of a new filter arrive, so that nothing moves.
  const last = useRef<JobOverview | undefined>(undefined);
  if (data) last.current = data;
  const overview = data ?? last.current;

  const changed = useStatusChanges(data);
  const chosen = useChosen(overview?.items);
  const [ask, setAsk] = useState<Ask | null>(null);
  const actions = useJobActions({ refresh, ask: setAsk });
  const searchBox = useRef<HTMLInputElement>(null);
  const table = useRef<HTMLDivElement>(null);
  const [isHelpShown, setHelpShown] = useState(false);
  const byId = useCallback(
    (id: string): JobRow | undefined => overview?.items.find((row) => row.id === id),
    [overview],
  );
  useJobKeys({
    table,
    searchBox,
    showHelp: () => setHelpShown(true),
    toggle: (id) => {
      const row = byId(id);
      if (row) chosen.toggle(row);
    },
    clear: chosen.clear,
    compare: () => chosen.rows.length > 1 && navigate("/compare", { jobs: chosen.rows.map((row) => row.id).join(",") }),
  });

  // This uses the newest view, not the view at the time when the search began to wait.
  const newest = useRef(view);
  newest.current = view;
  const change = useCallback((part: Partial<JobsView>) => {
    navigate("/jobs", writeView({ ...newest.current, page: 1, ...part }), { replace: true });
  }, []);
  const isNew = overview !== undefined && Object.values(overview.counts).every((count) => !count);

  return (
    <>
      <header class="page-head jobs-head">
        <div>
          <h1>Jobs</h1>
          <Summary counts={overview?.counts} />
        </div>
        <button
          type="button"
          class="quiet jobs-keys-button"
          title="Keyboard shortcuts (?)"
          onClick={() => setHelpShown(true)}
        >
          <kbd>?</kbd>
          <span class="hidden-text">Keyboard shortcuts</span>
        </button>
        <Link to="/new-job" class="button primary">
          <Icon name="plus" /> New job
        </Link>
      </header>
      {isNew && !isFiltered(view) ? (
        <FirstSteps />
      ) : (
        <>
          <Filters view={view} overview={overview} change={change} searchBox={searchBox} />
          {overview === undefined ? (
            error && !error.isUnreachable ? (
              <ErrorBox error={error} />
            ) : (
              <TableSkeleton />
            )
          ) : overview.items.length === 0 ? (
            <NothingFound view={view} totalCount={overview.total_count} change={change} />
          ) : (
            <div
              ref={table}
              class={["jobs-list", !data && "is-old", chosen.rows.length > 0 && "has-bar"].filter(Boolean).join(" ")}
              aria-busy={!data}
            >
              <JobsTable
                rows={overview.items}
                sort={view.sort}
                changed={changed}
                chosen={chosen}
                actions={actions}
                onSort={(sort) => change({ sort })}
              />
              <Pager view={view} overview={overview} onPage={(page) => change({ page })} />
            </div>
          )}
        </>
      )}
      <p class="hidden-text" role="status">
        {changed.announcement}
      </p>
      <ChosenBar chosen={chosen} ask={setAsk} />
      {ask && <AskDialog ask={ask} actions={actions} onDone={chosen.clear} onClose={() => setAsk(null)} />}
      {isHelpShown && <KeysDialog onClose={() => setHelpShown(false)} />}
      <StaleNotice error={overview || error?.isUnreachable ? error : undefined} />
    </>
  );
}

function NothingFound({
  view,
  totalCount,
  change,
}: {
  view: JobsView;
  totalCount: number;
  change: (part: Partial<JobsView>) => void;
}) {
  const isPastEnd = totalCount > 0;
  return (
    <section class="empty card">
      <Icon name="search" />
      <h2>{isPastEnd ? "This page is past the end" : "No matching jobs"}</h2>
      <p>
        {isPastEnd
          ? "There are fewer jobs now."
          : view.search
            ? `No job matches “${view.search}”${view.statuses.length ? ` and is ${view.statuses.join(" or ")}` : ""}.`
            : `No job is ${view.statuses.join(" or ")} now.`}
      </p>
      <button type="button" onClick={() => change(isPastEnd ? { page: 1 } : { statuses: [], search: "" })}>
        {isPastEnd ? "Go to the first page" : "Show all jobs"}
      </button>
    </section>
  );
}
