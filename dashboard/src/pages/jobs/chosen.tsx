// The bar of the chosen jobs, which can be compared or cancelled together; they stay chosen from page to page.

import { useCallback, useEffect, useState } from "preact/hooks";
import type { JobRow } from "../../api/types";
import { countOf } from "../../lib/format";
import { listVerbs, MAX_CHOSEN } from "../../lib/jobs-view";
import { Link } from "../../router";
import { Icon } from "../../ui/icons";
import type { Ask } from "./actions";
import "./chosen.css";

export interface Chosen {
  rows: JobRow[];
  has: (id: string) => boolean;
  isFull: boolean;
  toggle: (row: JobRow) => void;
  clear: () => void;
}

export function useChosen(shown: JobRow[] | undefined): Chosen {
  const [rows, setRows] = useState<JobRow[]>([]);

  // The newest data of each job shows its name, and whether it can still be cancelled.
  useEffect(() => {
    const newest = new Map(shown?.map((row) => [row.id, row]));
    setRows((before) => (before.length ? before.map((row) => newest.get(row.id) ?? row) : before));
  }, [shown]);

  const toggle = useCallback((row: JobRow) => {
    setRows((before) => {
      const without = before.filter(({ id }) => id !== row.id);
      if (without.length < before.length) return without;
      return before.length < MAX_CHOSEN ? [...before, row] : before;
    });
  }, []);
  const clear = useCallback(() => setRows([]), []);
  const has = (id: string) => rows.some((row) => row.id === id);
  return { rows, has, isFull: rows.length >= MAX_CHOSEN, toggle, clear };
}

export function ChosenBar({ chosen, ask }: { chosen: Chosen; ask: (rows: Ask) => void }) {
  const count = chosen.rows.length;
  if (count === 0) return null;
  const cancellable = chosen.rows.filter((row) => listVerbs(row).includes("cancel"));
  return (
    <section class="jobs-chosen" aria-label="Chosen jobs">
      <strong class="number">{count} chosen</strong>
      {chosen.isFull && <span class="soft">the maximum for a comparison</span>}
      <Link class="button primary" to="/compare" query={{ jobs: chosen.rows.map((row) => row.id).join(",") }}>
        <Icon name="compare" /> Compare ({count})
      </Link>
      {cancellable.length > 0 && (
        <button type="button" class="danger" onClick={() => ask(cancellable)}>
          <Icon name="stop" /> Cancel {cancellable.length === count ? "" : countOf(cancellable.length, "job")}
        </button>
      )}
      <button type="button" class="quiet" aria-label="Choose none" title="Choose none (Esc)" onClick={chosen.clear}>
        <Icon name="close" />
      </button>
    </section>
  );
}
