// Follows a live feed (server-sent events) across restarts of the API and lost connections.

import { useEffect, useRef, useState } from "preact/hooks";

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;

export type StreamStatus = "connecting" | "live" | "lost" | "ended";

/**
 * Follows `path`, a feed with `?after=<cursor>`, from `start` on, and passes its items to `take`. EventSource stops for
 * good when it gets an error status, for example from a proxy while the API restarts. So this hook opens a lost feed
 * again itself, after the last item that it received.
 */
export function useStream<T extends { cursor: string }>(
  path: string | null,
  eventName: string,
  start: string | null,
  take: (items: T[]) => void,
): StreamStatus {
  const [status, setStatus] = useState<StreamStatus>("connecting");
  const takeRef = useRef(take);
  takeRef.current = take;

  useEffect(() => {
    if (path === null) return;
    let source: EventSource | null = null;
    let cursor = start;
    let failures = 0;
    let timer: number | undefined;
    let frame: number | undefined;
    let waiting: T[] = [];

    function hand(): void {
      frame = undefined;
      const items = waiting;
      waiting = [];
      takeRef.current(items);
    }

    function open(): void {
      source = new EventSource(cursor ? `${path}?after=${encodeURIComponent(cursor)}` : (path as string));
      source.onopen = () => {
        failures = 0;
        setStatus("live");
      };
      source.addEventListener(eventName, (event) => {
        const item = JSON.parse((event as MessageEvent<string>).data) as T;
        cursor = item.cursor;
        waiting.push(item);
        // Items that arrive at nearly the same time are passed on together.
        frame ??= window.setTimeout(hand, 50);
      });
      source.addEventListener("end", () => {
        source?.close();
        setStatus("ended");
      });
      source.onerror = () => {
        source?.close();
        setStatus("lost");
        failures += 1;
        timer = window.setTimeout(open, Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS));
      };
    }

    setStatus("connecting");
    open();
    return () => {
      source?.close();
      window.clearTimeout(timer);
      window.clearTimeout(frame);
    };
  }, [path, eventName, start]);

  return status;
}
