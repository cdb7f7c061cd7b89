// The page of the queue and the slots: which jobs run where, which jobs wait and why, and the operator's actions.

import "./queue.css";
import { useState } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { Items, Queue, Slot } from "../../api/types";
import { countOf } from "../../lib/format";
import { ErrorBox, Skeleton, StaleNotice } from "../../ui/feedback";
import { QueueTable } from "./queue-table";
import { SlotCard } from "./slot-card";

const PAGE_LENGTH = 50;
// The API returns at most this many entries at once.
const MAX_LENGTH = 200;

export function QueuePage() {
  const [length, setLength] = useState(PAGE_LENGTH);
  const [offset, setOffset] = useState(0);
  const slots = usePoll<Items<Slot>>("/slots");
  const queue = usePoll<Queue>(`/queue?offset=${offset}&limit=${length}`);
  const busy = slots.data?.items.filter((slot) => slot.status === "running").length ?? 0;

  return (
    <div class="stack">
      <div class="page-head">
        <h1>Queue and slots</h1>
        {slots.data && queue.data && (
          <span class="soft">
            {busy} of {countOf(slots.data.items.length, "slot")} busy · {countOf(queue.data.total_count, "job")} waiting
          </span>
        )}
      </div>

      <section aria-labelledby="slots-title" class="stack">
        <h2 id="slots-title">Slots</h2>
        {slots.data ? (
          <div class="slots">
            {slots.data.items.map((slot) => (
              <SlotCard key={slot.name} slot={slot} onChange={slots.refresh} />
            ))}
          </div>
        ) : slots.error ? (
          <ErrorBox error={slots.error} />
        ) : (
          <Skeleton lines={4} />
        )}
        {slots.data?.items.length === 0 && (
          <p class="soft">
            No worker has been seen yet. Start one on a GPU host with <code>emotune worker</code>, as docs/operations.md
            describes.
          </p>
        )}
      </section>

      {/* This is shown after the slots, whose number decides its position, so that nothing moves. */}
      {(slots.data || slots.error) && (
        <section aria-labelledby="queue-title" class="card">
          <div class="card-head">
            <h2 id="queue-title">Waiting jobs in the order of the queue</h2>
          </div>
          {queue.data ? (
            <QueueTable queue={queue.data} onChange={queue.refresh} />
          ) : queue.error ? (
            <ErrorBox error={queue.error} />
          ) : (
            <Skeleton />
          )}
          {queue.data && (offset > 0 || queue.data.next_offset) && (
            <div class="card-body row">
              {queue.data.next_offset && length < MAX_LENGTH && (
                <button type="button" onClick={() => setLength(Math.min(length + PAGE_LENGTH, MAX_LENGTH))}>
                  Show more
                </button>
              )}
              {offset > 0 && (
                <button type="button" onClick={() => setOffset(Math.max(0, offset - MAX_LENGTH))}>
                  Back to the front
                </button>
              )}
              {queue.data.next_offset && length >= MAX_LENGTH && (
                <button type="button" onClick={() => setOffset(offset + MAX_LENGTH)}>
                  Further back
                </button>
              )}
            </div>
          )}
        </section>
      )}
      <StaleNotice error={(slots.data && slots.error) || (queue.data && queue.error)} />
    </div>
  );
}
