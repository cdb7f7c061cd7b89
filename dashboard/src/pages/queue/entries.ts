// The queue as people read it: jobs of other teams, of which nothing is told, are one row where they stand together.

import type { QueueEntry } from "../../api/types";

export type QueueRow =
  | { kind: "job"; entry: QueueEntry; job: NonNullable<QueueEntry["job"]> }
  | { kind: "others"; from: number | null; to: number | null; count: number };

/** Rows in the order of the entries; neighbours without a job become one. */
export function gatherRows(entries: readonly QueueEntry[]): QueueRow[] {
  const rows: QueueRow[] = [];
  for (const entry of entries) {
    const position = entry.position ?? null;
    if (entry.job) {
      rows.push({ kind: "job", entry, job: entry.job });
      continue;
    }
    const last = rows.at(-1);
    // What has no turn is not counted together with what has one.
    if (last?.kind === "others" && (last.to === null) === (position === null)) {
      last.to = position;
      last.count += 1;
    } else {
      rows.push({ kind: "others", from: position, to: position, count: 1 });
    }
  }
  return rows;
}

/** Where a job would stand after a step up or down; null where it can't go. */
export function findStep(position: number | null | undefined, step: -1 | 1, lastPosition: number): number | null {
  if (!position) return null;
  const wanted = position + step;
  return wanted >= 1 && wanted <= lastPosition ? wanted : null;
}
