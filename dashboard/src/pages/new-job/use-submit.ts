// Posts the job, so that a lost answer makes no second job.

import { useState } from "preact/hooks";
import { send } from "../../api/client";
import type { Job, JobCreate } from "../../api/types";
import { makeUuid, type SentRequest } from "./storage";

export interface Submitting {
  isBusy: boolean;
  /** Returns the key of this request, which stays the same as long as the request is the same. */
  getKey: (body: JobCreate) => string;
  /** Posts the job. Throws ApiError. */
  post: (body: JobCreate) => Promise<Job>;
}

export function useSubmit(sent: SentRequest | null, keep: (sent: SentRequest) => void): Submitting {
  const [isBusy, setBusy] = useState(false);

  function getKey(body: JobCreate): string {
    const text = JSON.stringify(body);
    if (sent?.body === text) return sent.key;
    const fresh = { key: makeUuid(), body: text };
    keep(fresh);
    return fresh.key;
  }

  async function post(body: JobCreate): Promise<Job> {
    setBusy(true);
    try {
      const response = await send("POST", "/jobs", { body, headers: { "Idempotency-Key": getKey(body) } });
      return (await response.json()) as Job;
    } finally {
      setBusy(false);
    }
  }

  return { isBusy, getKey, post };
}
