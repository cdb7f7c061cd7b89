// A live feed while the page is looked at. Browsers open six connections to a server at most, over all tabs, and a feed
// holds one: tabs that nobody sees leave theirs to the others, and go on where they stopped when they are seen again.

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

/** As useStream; `start` null begins at the first item. */
export function useFeed<T extends { cursor: string }>(
  path: string | null,
  eventName: string,
  start: string | null,
  take: (items: T[]) => void,
): StreamStatus {
  const isVisible = useVisible();
  const last = useRef<string | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: where to begin is asked anew when the page is seen again.
  const from = useMemo(() => last.current ?? start, [isVisible, start]);
  return useStream<T>(isVisible ? path : null, eventName, from, (items) => {
    last.current = items.at(-1)?.cursor ?? last.current;
    take(items);
  });
}
