// Follows a live feed while the page is visible. Browsers open at most six connections to a server over all tabs, and
// each feed takes one. So a hidden tab closes its feeds and resumes them when it is visible again.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type StreamStatus, useStream } from "../../api/stream";

function useVisible(): boolean {
  const [isVisible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return isVisible;
}

/** Works as useStream; a `start` of null begins with the first item. */
export function useFeed<T extends { cursor: string }>(
  path: string | null,
  eventName: string,
  start: string | null,
  take: (items: T[]) => void,
): StreamStatus {
  const isVisible = useVisible();
  const last = useRef<string | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the start is read again when the page becomes visible
  const from = useMemo(() => last.current ?? start, [isVisible, start]);
  return useStream<T>(isVisible ? path : null, eventName, from, (items) => {
    last.current = items.at(-1)?.cursor ?? last.current;
    take(items);
  });
}
