// All of a job's curves, page by page.

import { makeQuery, request } from "./client";
import type { CurveColumns, Curves } from "./types";

/** Most points that the API gives at once. */
const PAGE_POINTS = 20_000;

/**
 * Reads what came after `cursor` and calls `take` for each page with points, with the place behind it. Returns the last
 * place, where the next reading begins; raises ApiError.
 */
export async function readCurves(
  jobId: string,
  cursor: string | null,
  signal: AbortSignal,
  take: (columns: CurveColumns, cursor: string | null) => void,
): Promise<string | null> {
  for (;;) {
    const query = makeQuery({ after: cursor, limit: PAGE_POINTS });
    const path = `/jobs/${encodeURIComponent(jobId)}/curves${query}`;
    const page: Curves = await request<Curves>("GET", path, { signal });
    const count = page.columns.step.length;
    cursor = page.next_cursor ?? cursor;
    if (count) take(page.columns, cursor);
    if (count < PAGE_POINTS) return cursor;
  }
}
