// The filters of the table: buttons for the statuses, a search box, and, for narrow screens without headings, the sort
// order.

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { JobOverview } from "../../api/types";
import { formatCount } from "../../lib/format";
import { type JobsView, SORTS, STATUSES } from "../../lib/jobs-view";
import { Icon } from "../../ui/icons";
import { STATUS_NAMES } from "../../ui/job-parts";
import "./filters.css";

/** The pause between the last keystroke and the search. */
const PAUSE_MS = 250;
const MAX_SEARCH_LENGTH = 200;

export function Filters({
  view,
  overview,
  change,
  searchBox,
}: {
  view: JobsView;
  overview: JobOverview | undefined;
  change: (part: Partial<JobsView>) => void;
  searchBox: RefObject<HTMLInputElement | null>;
}) {
  const total = overview && Object.values(overview.counts).reduce((sum, count) => sum + (count ?? 0), 0);
  return (
    <div class="jobs-filters">
      <fieldset class="jobs-chips">
        <legend class="hidden-text">Status</legend>
        <Chip isPressed={view.statuses.length === 0} count={total} onClick={() => change({ statuses: [] })}>
          All
        </Chip>
        {STATUSES.map((status) => (
          <Chip
            key={status}
            status={status}
            isPressed={view.statuses.includes(status)}
            count={overview && (overview.counts[status] ?? 0)}
            onClick={() =>
              change({
                statuses: STATUSES.filter((each) => view.statuses.includes(each) !== (each === status)),
              })
            }
          >
            {STATUS_NAMES[status]}
          </Chip>
        ))}
      </fieldset>
      <SearchBox search={view.search} onSearch={(search) => change({ search })} box={searchBox} />
      <label class="jobs-sort">
        <span class="hidden-text">Sort by</span>
        <select value={view.sort} onChange={(event) => change({ sort: event.currentTarget.value })}>
          {SORTS.flatMap(({ key, name, isDownFirst }) =>
            [isDownFirst ? `-${key}` : key, isDownFirst ? key : `-${key}`].map((sort) => (
              <option key={sort} value={sort}>
                {name} {sort.startsWith("-") ? "↓" : "↑"}
              </option>
            )),
          )}
        </select>
      </label>
    </div>
  );
}

function Chip({
  status,
  isPressed,
  count,
  onClick,
  children,
}: {
  status?: string;
  isPressed: boolean;
  count: number | undefined;
  onClick: () => void;
  children: string;
}) {
  return (
    <button type="button" class={`jobs-chip ${status ?? ""}`} aria-pressed={isPressed} onClick={onClick}>
      {status && <span class="dot" aria-hidden="true" />}
      {children}
      <span class="jobs-chip-count">{count === undefined ? "" : formatCount(count)}</span>
    </button>
  );
}

function SearchBox({
  search,
  onSearch,
  box,
}: {
  search: string;
  onSearch: (search: string) => void;
  box: RefObject<HTMLInputElement | null>;
}) {
  const [text, setText] = useState(search);
  // Going back in the browser or a reset changes the box, but not while the reader is typing.
  useEffect(() => setText((before) => (before.trim() === search.trim() ? before : search)), [search]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only typing starts the timer
  useEffect(() => {
    if (text.trim() === search.trim()) return;
    const timer = window.setTimeout(() => onSearch(text.trim()), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  return (
    <label class="jobs-search">
      <span class="hidden-text">Search the jobs</span>
      <Icon name="search" />
      <input
        ref={box}
        type="search"
        class="jobs-search-box"
        placeholder="Name, dataset, model, key"
        title="Part of a name, or a complete id. Press / to search."
        maxLength={MAX_SEARCH_LENGTH}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            setText("");
            event.currentTarget.blur();
          }
        }}
      />
      <kbd>/</kbd>
    </label>
  );
}
