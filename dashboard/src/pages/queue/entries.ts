// Groups the queue for people: neighbouring jobs of other teams, whose details are not shown, become one row.

import type { QueueEntry } from "../../api/types";

export type QueueRow =
  | { kind: "job"; entry: QueueEntry; job: NonNullable<QueueEntry["job"]> }
  | { kind: "others"; from: number | null; to: number | null; count: number };

/** Returns the rows in the order of the entries; neighbouring entries without job details become one row. */
export function gatherRows(entries: readonly QueueEntry[]): QueueRow[] {
  const rows: QueueRow[] = [];
  for (const entry of entries) {
    const position = entry.position ?? null;
    if (entry.job) {
      rows.push({ kind: "job", entry, job: entry.job });
      continue;
    }
    const last = rows.at(-1);
    // Jobs that are not in turn are counted separately from jobs that are.
    if (last?.kind === "others" && (last.to === null) === (position === null)) {
      last.to = position;
      last.count += 1;
    } else {
      rows.push({ kind: "others", from: position, to: position, count: 1 });
    }
  }
  return rows;
}

/** Returns the place of a job after a move up or down; null if it can't move. */
export function findStep(position: number | null | undefined, step: -1 | 1, lastPosition: number): number | null {
  if (!position) return null;
  const wanted = position + step;
  return wanted >= 1 && wanted <= lastPosition ? wanted : null;
}
