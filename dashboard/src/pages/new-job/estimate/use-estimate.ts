// What the job would take, asked again after each change and now and then, as the queue moves on.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asError, request } from "../../../api/client";
import type { JobCreate, JobEstimate } from "../../../api/types";

const DEBOUNCE_MS = 400;
const REFRESH_MS = 30_000;
const RETRY_MS = 5_000;

export interface Estimated {
  /** The newest one; of an earlier form where `isCurrent` is false. */
  estimate: JobEstimate | undefined;
  isCurrent: boolean;
  isAsking: boolean;
  error: ApiError | undefined;
}

/** `body` null: there is nothing to ask for yet. */
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
