// Loads the estimate again after each change of the form, and regularly, because the queue moves.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asError, request } from "../../../api/client";
import type { JobCreate, JobEstimate } from "../../../api/types";

const DEBOUNCE_MS = 400;
const REFRESH_MS = 30_000;
const RETRY_MS = 5_000;

export interface Estimated {
  /** The newest estimate; if `isCurrent` is false, it belongs to an earlier state of the form. */
  estimate: JobEstimate | undefined;
  isCurrent: boolean;
  isAsking: boolean;
  error: ApiError | undefined;
}

/** A `body` of null means that there is nothing to estimate yet. */
export function useEstimate(body: JobCreate | null): Estimated {
  const json = body && JSON.stringify({ ...body, name: undefined });
  const [answer, setAnswer] = useState<{ json: string; estimate: JobEstimate }>();
  const [failure, setFailure] = useState<{ json: string; error: ApiError }>();
  const [asked, setAsked] = useState<string | null>(null);

  useEffect(() => {
    if (json === null) return;
    const abort = new AbortController();
    let timer = window.setTimeout(ask, DEBOUNCE_MS);

    async function ask(): Promise<void> {
      let pause = REFRESH_MS;
      if (!document.hidden) {
        setAsked(json);
        try {
          const options = { body: JSON.parse(json as string) as JobCreate, signal: abort.signal };
          const estimate = await request<JobEstimate>("POST", "/jobs:estimate", options);
          setAnswer({ json: json as string, estimate });
          setFailure(undefined);
        } catch (caught) {
          if (abort.signal.aborted) return;
          const error = asError(caught);
          if (error.isUnreachable) pause = RETRY_MS;
          setFailure({ json: json as string, error });
        }
        setAsked(null);
      }
      if (!abort.signal.aborted) timer = window.setTimeout(ask, pause);
    }

    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [json]);

  const isFailed = failure !== undefined && failure.json === json;
  return {
    estimate: answer?.estimate,
    isCurrent: answer !== undefined && answer.json === json && !isFailed,
    isAsking: json !== null && !isFailed && (asked !== null || answer?.json !== json),
    error: isFailed ? failure.error : undefined,
  };
}
