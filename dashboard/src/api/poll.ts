// Polls the API: every two seconds while the page is visible, rarely while it is hidden, and with the ETag of the last
// answer, so that an answer without news costs almost nothing.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError, send } from "./client";

export const POLL_MS = 2_000;
const HIDDEN_POLL_MS = 30_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;
const NOTHING = { data: undefined, error: undefined };

export interface Polled<T> {
  /** The newest answer; undefined before the first. */
  data: T | undefined;
  /** The error of the last request; the data of the request before stays. */
  error: ApiError | undefined;
  /** Asks at once, for example after an action on the page. */
  refresh: () => void;
  /** Shows this value until the next answer. */
  put: (data: T) => void;
}

/**
 * Polls the JSON that a GET returns. A `path` of null asks nothing; an `everyMs` of 0 asks once and after each
 * `refresh`.
 */
export function usePoll<T>(path: string | null, everyMs: number = POLL_MS): Polled<T> {
  return usePollOf<T>(path, everyMs, readJson);
}

/** Polls plain text, such as a growing log, as `usePoll` polls JSON. */
export function usePollText(path: string | null, everyMs: number): Polled<string> {
  return usePollOf(path, everyMs, readText);
}

const readJson = (response: Response) => response.json();
const readText = (response: Response) => response.text();

interface Answer<T> {
  path: string | null;
  data: T | undefined;
  error: ApiError | undefined;
}

/** Polls a path; `read` has to be the same function in each render. */
function usePollOf<T>(path: string | null, everyMs: number, read: (response: Response) => Promise<T>): Polled<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ path, data: undefined, error: undefined });
  const kick = useRef<() => void>(() => {});

  useEffect(() => {
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
          const data = await read(response);
          etag = response.headers.get("ETag");
          setAnswer({ path, data, error: undefined });
        } else setAnswer((before) => (before.error ? { ...before, error: undefined } : before));
        failures = 0;
      } catch (caught) {
        if (abort.signal.aborted) return;
        failures += 1;
        const error = asError(caught);
        setAnswer((before) => ({ path, data: before.path === path ? before.data : undefined, error }));
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
  }, [path, everyMs, read]);

  const refresh = useCallback(() => kick.current(), []);
  const put = useCallback((data: T) => setAnswer({ path, data, error: undefined }), [path]);
  // After the path has changed, the answer to the old path must not be shown for the new one.
  const { data, error } = answer.path === path ? answer : NOTHING;
  return { data, error, refresh, put };
}
