// Chooses one dataset by a search and the arrow keys, or by a click; it folds to one line after the choice.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Dataset } from "../../../api/types";
import { countOf, formatBytes } from "../../../lib/format";
import { Link } from "../../../router";
import { ErrorBox, Skeleton } from "../../../ui/feedback";
import { Icon } from "../../../ui/icons";
import { Time } from "../../../ui/time";
import { type Datasets, useDataset } from "./use-datasets";
import "./dataset-picker.css";

export function DatasetPicker({
  id,
  label,
  value,
  datasets,
  problem,
  exclude,
  onPick,
}: {
  id: string;
  label: string;
  value: string;
  datasets: Datasets;
  problem: string;
  /** A dataset that can't be chosen here. */
  exclude?: string;
  onPick: (id: string) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  const { dataset, isGone } = useDataset(value, datasets.items);
  const gone = isGone ? "This dataset has been deleted. Choose another." : "";
  const shown = problem || gone;
  const change = useRef<HTMLButtonElement>(null);
  const wasPicked = useRef(false);
  useEffect(() => {
    if (!isOpen && wasPicked.current) change.current?.focus();
    wasPicked.current = false;
  });

  if (value && !isOpen && !shown) {
    return (
      <div class="new-job-picked">
        <Icon name="datasets" />
        <div class="new-job-picked-text">
          <strong>{dataset?.name ?? "…"}</strong>
          <small class="soft">{dataset && <Facts dataset={dataset} />}</small>
        </div>
        <Link to={`/datasets/${value}`} class="button quiet small">
          Open
        </Link>
        <button ref={change} type="button" class="small" onClick={() => setOpen(true)} aria-label={`Change: ${label}`}>
          Change
        </button>
      </div>
    );
  }
  return (
    <List
      id={id}
      label={label}
      value={value}
      datasets={datasets}
      problem={shown}
      exclude={exclude}
      isFocused={isOpen}
      onPick={(picked) => {
        wasPicked.current = true;
        setOpen(false);
        onPick(picked);
      }}
      onCancel={value && !shown ? () => setOpen(false) : undefined}
    />
  );
}

function List({
  id,
  label,
  value,
  datasets,
  problem,
  exclude,
  isFocused,
  onPick,
  onCancel,
}: {
  id: string;
  label: string;
  value: string;
  datasets: Datasets;
  problem: string;
  exclude: string | undefined;
  isFocused: boolean;
  onPick: (id: string) => void;
  onCancel: (() => void) | undefined;
}) {
  const [search, setSearch] = useState("");
  const [active, setActive] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();
  const problemId = useId();
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (datasets.items ?? []).filter(
    (each) => each.id !== exclude && words.every((word) => `${each.name} ${each.id}`.toLowerCase().includes(word)),
  );
  const isSearching = words.length > 0;

  // A search covers all datasets, so the pages that are not loaded yet are fetched.
  useEffect(() => {
    if (isSearching && datasets.hasMore) void datasets.loadMore().catch(() => {});
  }, [isSearching, datasets.hasMore, datasets.loadMore]);
  useEffect(() => {
    if (isFocused) input.current?.focus();
  }, [isFocused]);
  useEffect(() => {
    document.getElementById(`${listId}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active, listId]);

  function move(step: number): void {
    if (found.length) setActive((active + step + found.length) % found.length);
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(active < 0 ? 0 : -1);
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      const picked = found[active] ?? (found.length === 1 ? found[0] : undefined);
      if (picked) onPick(picked.id);
    } else if (event.key === "Escape" && onCancel) onCancel();
    else return;
    event.preventDefault();
  }

  return (
    <div class="new-job-picker">
      <div class="new-job-search">
        <Icon name="search" />
        <input
          ref={input}
          id={id}
          type="text"
          role="combobox"
          autocomplete="off"
          spellcheck={false}
          placeholder="Search by name"
          aria-label={label}
          aria-expanded="true"
          aria-controls={listId}
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 && found[active] ? `${listId}-${active}` : undefined}
          aria-invalid={problem ? "true" : undefined}
          aria-describedby={problem ? problemId : undefined}
          value={search}
          onInput={(event) => {
            setSearch(event.currentTarget.value);
            setActive(event.currentTarget.value ? 0 : -1);
          }}
          onKeyDown={onKeyDown}
        />
        {onCancel && (
          <button type="button" class="quiet small" onClick={onCancel}>
            Keep the current one
          </button>
        )}
      </div>
      <p id={problemId} class="problem">
        {problem}
      </p>
      {datasets.error && !datasets.items && <ErrorBox error={datasets.error} />}
      {!datasets.items && !datasets.error && <Skeleton lines={4} />}
      <div class="new-job-options" role="listbox" id={listId} aria-label={label} tabIndex={-1}>
        {found.map((each, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the search field, which points here, handles the keys
          <div
            key={each.id}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={each.id === value}
            class={index === active ? "is-active" : undefined}
            onClick={() => onPick(each.id)}
          >
            <span class="new-job-option-name">{each.name}</span>
            <small class="soft">
              <Facts dataset={each} />
            </small>
          </div>
        ))}
      </div>
      {datasets.items && found.length === 0 && (
        <p class="hint new-job-none" role="status">
          {isSearching ? `No dataset matches “${search.trim()}”.` : "There are no datasets yet. Upload a file."}
        </p>
      )}
      {datasets.hasMore && !isSearching && (
        <button type="button" class="quiet small" onClick={() => void datasets.loadMore().catch(() => {})}>
          Show older ones
        </button>
      )}
    </div>
  );
}

function Facts({ dataset }: { dataset: Dataset }) {
  return (
    <>
      {countOf(dataset.example_count, "example")} · {formatBytes(dataset.size_bytes)} · <Time at={dataset.created_at} />
    </>
  );
}
