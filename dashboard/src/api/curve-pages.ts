// Reads all curves of a job, page by page.

import { makeQuery, request } from "./client";
import type { CurveColumns, Curves } from "./types";

/** The API returns at most this many points in one page. */
const PAGE_POINTS = 20_000;

/**
 * Reads the points after `cursor` and calls `take` for each page that has points, with the cursor behind it. Returns
 * the last cursor, from which the next reading continues. Throws ApiError.
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
