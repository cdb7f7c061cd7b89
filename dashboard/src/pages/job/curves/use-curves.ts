// Loads all metrics of a job: first the existing ones in columns, then each new one as it arrives.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError } from "../../../api/client";
import { readCurves } from "../../../api/curve-pages";
import type { StreamStatus } from "../../../api/stream";
import type { Metric } from "../../../api/types";
import { addColumns, addMetrics, isAfter, type JobCurves, makeCurves } from "../../../lib/curves";
import { useFeed } from "../use-feed";

const RETRY_MS = 3_000;
/**
 * The interval at which live points are drawn, however fast they arrive; long curves grow by less than a pixel anyway.
 */
const DRAW_MS = 250;
const LONG_DRAW_MS = 1_500;
const LONG_POINTS = 5_000;

export interface FollowedCurves {
  /** The curves; undefined before the first answer. */
  curves: JobCurves | undefined;
  /** The error of the first load, which is retried. */
  error: ApiError | undefined;
  live: StreamStatus;
}

export function useCurves(jobId: string): FollowedCurves {
  const [curves, setCurves] = useState<JobCurves | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  /** The cursor after the first load; undefined before its end. */
  const [start, setStart] = useState<string | null | undefined>(undefined);
  const last = useRef<string | null>(null);
  const waiting = useRef<Metric[]>([]);
  const timer = useRef<number | undefined>(undefined);
  const isLong = useRef(false);
  isLong.current = (curves?.step.length ?? 0) > LONG_POINTS;

  useEffect(() => {
    const abort = new AbortController();
    let retry: number | undefined;
    let loaded = makeCurves();
    let cursor: string | null = null;

    async function load(): Promise<void> {
      try {
        cursor = await readCurves(jobId, cursor, abort.signal, (columns, after) => {
          loaded = addColumns(loaded, columns);
          // A later attempt resumes from here.
          cursor = after;
          setCurves(loaded);
        });
        setCurves(loaded);
        setError(undefined);
        last.current = cursor;
        setStart(cursor);
      } catch (caught) {
        if (abort.signal.aborted) return;
        setError(asError(caught));
        retry = window.setTimeout(load, RETRY_MS);
      }
    }

    void load();
    return () => {
      abort.abort();
      window.clearTimeout(retry);
      window.clearTimeout(timer.current);
    };
  }, [jobId]);

  const take = useCallback((metrics: Metric[]) => {
    for (const metric of metrics) {
      if (!isAfter(metric.cursor, last.current)) continue;
      last.current = metric.cursor;
      waiting.current.push(metric);
    }
    timer.current ??= window.setTimeout(
      () => {
        timer.current = undefined;
        const found = waiting.current;
        waiting.current = [];
        if (found.length) setCurves((before) => addMetrics(before ?? makeCurves(), found));
      },
      isLong.current ? LONG_DRAW_MS : DRAW_MS,
    );
  }, []);
  const path = start === undefined ? null : `/jobs/${jobId}/metrics`;
  const live = useFeed<Metric>(path, "metric", start ?? null, take);
  return { curves, error, live };
}
