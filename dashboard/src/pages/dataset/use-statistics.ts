// Loads the statistics of a dataset. Those of a large dataset are computed in the background, and the API says when to
// ask again.

import { useCallback, useEffect, useState } from "preact/hooks";
import { type ApiError, asError, send } from "../../api/client";
import type { Statistics } from "../../api/types";
import { pauseAfter } from "../../datasets/transfer";

export interface Computed {
  data: Statistics | undefined;
  error: ApiError | undefined;
  /** Whether the statistics are still being computed. */
  isComputing: boolean;
  retry: () => void;
}

const DEFAULT_RETRY_SECONDS = 5;

export function useStatistics(path: string | null): Computed {
  const [data, setData] = useState<Statistics | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [isComputing, setComputing] = useState(false);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt has to ask again
  useEffect(() => {
    setData(undefined);
    setError(undefined);
    setComputing(false);
    if (path === null) return;
    const abort = new AbortController();
    let timer: number | undefined;
    let failures = 0;
    async function ask(): Promise<void> {
      try {
        const response = await send("GET", path as string, { signal: abort.signal });
        failures = 0;
        setError(undefined);
        if (response.status === 202) {
          setComputing(true);
          const seconds = Number(response.headers.get("Retry-After")) || DEFAULT_RETRY_SECONDS;
          timer = window.setTimeout(ask, seconds * 1000);
          return;
        }
        setData((await response.json()) as Statistics);
        setComputing(false);
      } catch (caught) {
        if (abort.signal.aborted) return;
        const failure = asError(caught);
        setError(failure);
        failures += 1;
        if (failure.isUnreachable) timer = window.setTimeout(ask, pauseAfter(failures));
      }
    }
    void ask();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [path, attempt]);

  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  return { data, error, isComputing, retry };
}
