// The events of the job, the newest first, updated live.

import { useCallback, useState } from "preact/hooks";
import type { JobEvent } from "../../api/types";
import { Icon, type IconName } from "../../ui/icons";
import { Time } from "../../ui/time";
import { LiveChip } from "./live-chip";
import { Section } from "./section";
import { useFeed } from "./use-feed";

const SHOWN_AT_FIRST = 12;

type Tone = "calm" | "good" | "bad" | "warn" | "busy";

const KINDS: Record<string, readonly [icon: IconName, tone: Tone]> = {
  queued: ["clock", "calm"],
  requeued: ["clock", "warn"],
  running: ["play", "busy"],
  resumed: ["play", "busy"],
  phase: ["chevron", "calm"],
  plan: ["info", "calm"],
  notice: ["info", "busy"],
  checkpoint: ["save", "good"],
  checkpoint_requested: ["save", "calm"],
  paused: ["pause", "calm"],
  pause_requested: ["pause", "calm"],
  preempt_requested: ["preempt", "warn"],
  priority: ["up", "calm"],
  renamed: ["edit", "calm"],
  held: ["hold", "warn"],
  released: ["play", "calm"],
  moved: ["up", "calm"],
  cancel_requested: ["stop", "calm"],
  cancelled: ["stop", "calm"],
  succeeded: ["check", "good"],
  failed: ["close", "bad"],
  slot_blocked: ["alert", "warn"],
};

export function Timeline({ jobId, isOver, attempt }: { jobId: string; isOver: boolean; attempt: number }) {
  const [events, setEvents] = useState<JobEvent[]>([]);
  const [isWhole, setWhole] = useState(false);
  const take = useCallback((items: JobEvent[]) => {
    setEvents((before) => {
      const last = Number(before.at(-1)?.cursor ?? 0);
      return [...before, ...items.filter((item) => Number(item.cursor) > last)];
    });
  }, []);
  const live = useFeed<JobEvent>(`/jobs/${jobId}/events`, "event", null, take);
  const newestFirst = events.toReversed();
  const shown = isWhole ? newestFirst : newestFirst.slice(0, SHOWN_AT_FIRST);
  return (
    <Section id="timeline" title="Timeline" tools={<LiveChip live={live} isOver={isOver} />}>
      <ol class="job-timeline">
        {shown.map((event) => (
          <Entry key={event.cursor} event={event} hasAttempts={attempt > 1} />
        ))}
      </ol>
      {events.length === 0 && <p class="soft">Nothing has happened yet.</p>}
      {newestFirst.length > SHOWN_AT_FIRST && (
        <button type="button" class="quiet small" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show the newest" : `Show all ${newestFirst.length}`}
        </button>
      )}
    </Section>
  );
}

function Entry({ event, hasAttempts }: { event: JobEvent; hasAttempts: boolean }) {
  const [icon, tone] = KINDS[event.kind] ?? (["info", "calm"] as const);
  return (
    <li>
      <span class={`job-event ${tone}`} aria-hidden="true">
        <Icon name={icon} />
      </span>
      <div>
        <p>{event.message}</p>
        <small class="soft">
          <Time at={event.at} />
          {hasAttempts && event.attempt > 0 && ` · attempt ${event.attempt}`}
        </small>
      </div>
    </li>
  );
}
