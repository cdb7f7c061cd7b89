// Which rows have just changed their status, so that the eye finds them.

import { useEffect, useRef, useState } from "preact/hooks";
import type { JobOverview, JobStatus } from "../../api/types";
import { STATUS_NAMES } from "../../ui/job-parts";

/** A little longer than the highlight in jobs.css lasts. */
const SHOWN_MS = 3_000;

export interface StatusChanges {
  ids: ReadonlySet<string>;
  /** For screen readers. */
  told: string;
}

const NOTHING: StatusChanges = { ids: new Set(), told: "" };

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
      told: changed.map(({ name, status }) => `${name}: ${STATUS_NAMES[status]}`).join(", "),
    });
  }, [overview]);

  useEffect(() => {
    if (changes === NOTHING) return;
    const timer = window.setTimeout(() => setChanges(NOTHING), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [changes]);

  return changes;
}
