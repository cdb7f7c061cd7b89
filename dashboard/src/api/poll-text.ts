// As poll.ts, for plain text: a log that grows.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asError, send } from "./client";
import { HIDDEN_POLL_MS } from "./poll";

const RETRY_MS = 5_000;

export interface PolledText {
  /** Undefined before the first answer. */
  text: string | undefined;
  /** What went wrong at the last try; the text of before stays. */
  error: ApiError | undefined;
}

/** Follows the text that a GET answers. `everyMs` 0 asks until it has been answered once. */
export function usePollText(path: string | null, everyMs: number): PolledText {
  const [polled, setPolled] = useState<PolledText & { path: string | null }>({
    path,
    text: undefined,
    error: undefined,
  });

  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    let etag: string | null = null;
    let timer: number | undefined;

    async function ask(): Promise<void> {
      let pause = everyMs;
      try {
        const headers: Record<string, string> = etag ? { "If-None-Match": etag } : {};
        const response = await send("GET", path as string, { headers, signal: abort.signal });
        if (response.status !== 304) {
          const text = await response.text();
          etag = response.headers.get("ETag");
          setPolled({ path, text, error: undefined });
        } else setPolled((before) => (before.error ? { ...before, error: undefined } : before));
      } catch (caught) {
        if (abort.signal.aborted) return;
        const error = asError(caught);
        setPolled((before) => ({ path, text: before.path === path ? before.text : undefined, error }));
        pause = RETRY_MS;
      }
      if (abort.signal.aborted || !pause) return;
      timer = window.setTimeout(ask, document.hidden ? Math.max(pause, HIDDEN_POLL_MS) : pause);
    }

    function look(): void {
      if (document.hidden || !everyMs) return;
      window.clearTimeout(timer);
      timer = window.setTimeout(ask, 0);
    }

    document.addEventListener("visibilitychange", look);
    void ask();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [path, everyMs]);

  // Between two paths the answer of the first is none of the second.
  return polled.path === path ? polled : { text: undefined, error: undefined };
}
