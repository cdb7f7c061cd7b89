// Shows relative times, with the exact time as a tooltip; all of them are updated together.

import { useEffect, useState } from "preact/hooks";
import { formatDate, formatRelative, NONE } from "../lib/format";

const TICK_MS = 5_000;
const listeners = new Set<() => void>();
let timer: number | undefined;

function useTick(): void {
  const [, setTick] = useState(0);
  useEffect(() => {
    const listener = () => setTick((tick) => tick + 1);
    listeners.add(listener);
    timer ??= window.setInterval(() => {
      for (const each of listeners) each();
    }, TICK_MS);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) {
        window.clearInterval(timer);
        timer = undefined;
      }
    };
  }, []);
}

export function Time({ at }: { at: string | null | undefined }) {
  useTick();
  if (!at) return <span>{NONE}</span>;
  const date = new Date(at);
  return (
    <time dateTime={at} title={formatDate(date)}>
      {formatRelative(date, new Date())}
    </time>
  );
}
