// Loads the compared jobs and their curves: those of ended jobs once, the others every few seconds.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError, request } from "../../api/client";
import { readCurves } from "../../api/curve-pages";
import type { Job } from "../../api/types";
import { addColumns, makeCurves } from "../../lib/curves";
import { hasEnded } from "../../lib/jobs-view";
import type { ComparedJob } from "./compared";

const POLL_MS = 3_000;
const HIDDEN_POLL_MS = 30_000;
/** The last points of a job's curve may arrive a moment after its final status. */
const LAST_LOOKS = 2;

export interface Followed {
  /** What has been loaded so far. */
  found: ComparedJob | undefined;
  /** The error of the last attempt. */
  error: ApiError | undefined;
}

const NOTHING: Followed = { found: undefined, error: undefined };

export function useCompared(ids: readonly string[]): (id: string) => Followed {
  const [known, setKnown] = useState<ReadonlyMap<string, Followed>>(new Map());
  const running = useRef(new Map<string, AbortController>());

  const text = ids.join(",");
  useEffect(() => {
    const wanted = new Set(text.split(",").filter(Boolean));
    for (const [id, abort] of running.current) {
      if (wanted.has(id)) continue;
      abort.abort();
      running.current.delete(id);
    }
    for (const id of wanted) {
      if (running.current.has(id)) continue;
      const abort = new AbortController();
      running.current.set(id, abort);
      void follow(id, abort.signal, (change) =>
        setKnown((before) => new Map(before).set(id, { ...(before.get(id) ?? NOTHING), ...change })),
      );
    }
  }, [text]);

  useEffect(() => {
    const followed = running.current;
    return () => {
      for (const abort of followed.values()) abort.abort();
      followed.clear();
    };
  }, []);

  return (id) => known.get(id) ?? NOTHING;
}

async function follow(id: string, signal: AbortSignal, report: (change: Partial<Followed>) => void): Promise<void> {
  const path = `/jobs/${encodeURIComponent(id)}`;
  let curves = makeCurves();
  let tokenCount: number | null = null;
  let cursor: string | null = null;
  let looksLeft = LAST_LOOKS;
  while (!signal.aborted) {
    try {
      const job = await request<Job>("GET", path, { signal });
      cursor = await readCurves(id, cursor, signal, (columns, after) => {
        curves = addColumns(curves, columns);
        tokenCount = columns.token_count.at(-1) ?? tokenCount;
        // A later attempt resumes from here.
        cursor = after;
      });
      report({ found: { job, curves, tokenCount }, error: undefined });
      if (hasEnded(job.status) && --looksLeft === 0) return;
    } catch (caught) {
      if (signal.aborted) return;
      const error = asError(caught);
      report({ error });
      // A job that doesn't exist won't appear; all other errors may be temporary.
      if (error.status >= 400 && error.status < 500 && error.status !== 429) return;
    }
    await pause(document.hidden ? HIDDEN_POLL_MS : POLL_MS, signal);
  }
}

/** The pause ends early when the page becomes visible, or when the comparison is closed. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const look = () => !document.hidden && end();
    const timer = window.setTimeout(end, milliseconds);
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", end);
  });
}
