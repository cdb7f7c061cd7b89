// Asking again and again: every two seconds while the page is looked at, seldom while it is hidden, and with the ETag
// of the last answer, so that an idle poll costs next to nothing.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError, send } from "./client";

export const POLL_MS = 2_000;
export const HIDDEN_POLL_MS = 30_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;

export interface Polled<T> {
  /** The newest answer; undefined before the first. */
  data: T | undefined;
  /** What went wrong at the last try; the data of before stays. */
  error: ApiError | undefined;
  /** Ask now, as after an action of one's own. */
  refresh: () => void;
  /** Show this until the next answer. */
  put: (data: T) => void;
}

/** Follows what a GET answers. `path` null asks nothing; `everyMs` 0 asks once and after each `refresh`. */
export function usePoll<T>(path: string | null, everyMs: number = POLL_MS): Polled<T> {
  const [data, setData] = useState<T | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const kick = useRef<() => void>(() => {});

  useEffect(() => {
    setData(undefined);
    setError(undefined);
    if (path === null) return;
    const abort = new AbortController();
    let etag: string | null = null;
    let timer: number | undefined;
    let failures = 0;
    let isAsking = false;
    let isWanted = false;

    async function ask(): Promise<void> {
      if (isAsking) {
        isWanted = true;
        return;
      }
      isAsking = true;
      window.clearTimeout(timer);
      try {
        const headers: Record<string, string> = etag ? { "If-None-Match": etag } : {};
        const response = await send("GET", path as string, { headers, signal: abort.signal });
        if (response.status !== 304) {
          const found = (await response.json()) as T;
          etag = response.headers.get("ETag");
          setData(found);
        }
        failures = 0;
        setError(undefined);
      } catch (caught) {
        if (abort.signal.aborted) return;
        failures += 1;
        setError(asError(caught));
      } finally {
        isAsking = false;
      }
      if (abort.signal.aborted) return;
      if (isWanted) {
        isWanted = false;
        void ask();
        return;
      }
      const pause = failures ? Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS) : everyMs;
      if (pause) timer = window.setTimeout(ask, document.hidden ? Math.max(pause, HIDDEN_POLL_MS) : pause);
    }

    function look(): void {
      if (!document.hidden && (everyMs || failures)) void ask();
    }

    kick.current = () => void ask();
    document.addEventListener("visibilitychange", look);
    void ask();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      kick.current = () => {};
    };
  }, [path, everyMs]);

  const refresh = useCallback(() => kick.current(), []);
  return { data, error, refresh, put: setData };
}
