// Finds the rows whose status has just changed, so that they can be highlighted.

import { useEffect, useRef, useState } from "preact/hooks";
import type { JobOverview, JobStatus } from "../../api/types";
import { STATUS_NAMES } from "../../ui/job-parts";

/** This is a little longer than the highlight in table/row.css. */
const SHOWN_MS = 3_000;

export interface StatusChanges {
  ids: ReadonlySet<string>;
  /** The text for screen readers. */
  announcement: string;
}

const NOTHING: StatusChanges = { ids: new Set(), announcement: "" };

export function useStatusChanges(overview: JobOverview | undefined): StatusChanges {
  const known = useRef(new Map<string, JobStatus>());
  const [changes, setChanges] = useState<StatusChanges>(NOTHING);

  useEffect(() => {
    if (!overview) return;
    const changed = overview.items.filter(
      ({ id, status }) => known.current.has(id) && known.current.get(id) !== status,
    );
    for (const { id, status } of overview.items) known.current.set(id, status);
    if (changed.length === 0) return;
    setChanges({
      ids: new Set(changed.map(({ id }) => id)),
      announcement: changed.map(({ name, status }) => `${name}: ${STATUS_NAMES[status]}`).join(", "),
    });
  }, [overview]);

  useEffect(() => {
    if (changes === NOTHING) return;
    const timer = window.setTimeout(() => setChanges(NOTHING), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [changes]);

  return changes;
}
