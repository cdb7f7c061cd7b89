// Follows some jobs and their curves: those that have ended are read once, the others every few seconds.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError, request } from "../../api/client";
import { readCurves } from "../../api/curve-pages";
import type { Job } from "../../api/types";
import { addColumns, makeCurves } from "../../lib/curves";
import { hasEnded } from "../../lib/jobs-view";
import type { ComparedJob } from "./compared";

const POLL_MS = 3_000;
const HIDDEN_POLL_MS = 30_000;
/** The end of a job's curve may come a moment after its status. */
const LAST_LOOKS = 2;

export interface Followed {
  /** As far as it is known. */
  found: ComparedJob | undefined;
  /** At the last try. */
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

async function follow(id: string, signal: AbortSignal, tell: (change: Partial<Followed>) => void): Promise<void> {
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
        // A try that follows goes on from here.
        cursor = after;
      });
      tell({ found: { job, curves, tokenCount }, error: undefined });
      if (hasEnded(job.status) && --looksLeft === 0) return;
    } catch (caught) {
      if (signal.aborted) return;
      const error = asError(caught);
      tell({ error });
      // What isn't there won't come; all else may be better in a moment.
      if (error.status >= 400 && error.status < 500 && error.status !== 429) return;
    }
    await pause(document.hidden ? HIDDEN_POLL_MS : POLL_MS, signal);
  }
}

/** Shorter when the page comes into sight, or isn't wanted any more. */
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
