// The dialog that adds jobs to the comparison: a search, and a list in which a click adds or removes a job.

import { useEffect, useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { JobOverview } from "../../api/types";
import { MAX_CHOSEN } from "../../lib/jobs-view";
import { Dialog } from "../../ui/dialog";
import { Skeleton } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { Sparkline, StatusBadge } from "../../ui/job-parts";

const PAUSE_MS = 250;
const SHOWN_COUNT = 30;
const POLL_MS = 5_000;

export function Picker({
  ids,
  onPick,
  onClose,
}: {
  ids: string[];
  onPick: (ids: string[]) => void;
  onClose: () => void;
}) {
  const [text, setText] = useState("");
  const [search, setSearch] = useState("");
  useEffect(() => {
    const timer = window.setTimeout(() => setSearch(text.trim()), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  const { data, error } = usePoll<JobOverview>(`/jobs:overview${makeQuery({ search, limit: SHOWN_COUNT })}`, POLL_MS);
  const isFull = ids.length >= MAX_CHOSEN;
  return (
    <Dialog title="Add jobs" onClose={onClose}>
      <div class="dialog-body">
        <label class="field">
          <span class="hidden-text">Search the jobs</span>
          <input
            type="search"
            placeholder="Name, dataset, model, key"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <div class="compare-found">
          {!data ? (
            error ? (
              <p class="problem">{error.message}</p>
            ) : (
              <Skeleton lines={7} />
            )
          ) : data.items.length === 0 ? (
            <p class="soft">No matching jobs.</p>
          ) : (
            <ul>
              {data.items.map((row) => {
                const isPicked = ids.includes(row.id);
                return (
                  <li key={row.id}>
                    <button
                      type="button"
                      aria-pressed={isPicked}
                      disabled={isFull && !isPicked}
                      onClick={() => onPick(isPicked ? ids.filter((id) => id !== row.id) : [...ids, row.id])}
                    >
                      <span class="compare-tick">{isPicked && <Icon name="check" />}</span>
                      <span class="compare-found-name">
                        <strong>{row.name}</strong>
                        <small>
                          {row.base_model} · {row.dataset_name}
                        </small>
                      </span>
                      <Sparkline losses={row.losses} width={60} />
                      <StatusBadge status={row.status} />
                    </button>
                  </li>
                );
              })}
            </ul>
          )}
        </div>
      </div>
      <footer>
        <span class="soft compare-count">
          {ids.length} of {MAX_CHOSEN} chosen
          {data?.next_offset != null && ", showing the newest"}
        </span>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </footer>
    </Dialog>
  );
}
