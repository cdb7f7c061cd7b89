// Shows the estimate of the job's time and memory while the form is filled in; on narrow screens it is a bar at the
// bottom that unfolds.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { JobEstimate, Slot } from "../../../api/types";
import type { Config } from "../../../lib/config-fields";
import { formatBytes, formatCount, formatSeconds, NONE } from "../../../lib/format";
import { Skeleton } from "../../../ui/feedback";
import { Icon } from "../../../ui/icons";
import { Time } from "../../../ui/time";
import { Advice } from "./advice";
import { describeFit, describeSource, formatClock, type MemoryBar, makeMemoryBar } from "./estimate-view";
import type { Estimated } from "./use-estimate";
import "./estimate-panel.css";

const TINY_SHARE = 0.4;

export function EstimatePanel({
  estimated,
  missing,
  isWrong,
  slots,
  onApply,
  children,
}: {
  estimated: Estimated;
  /** The fields that have to be filled in before there can be an estimate. */
  missing: string[];
  /** Whether a typed value has to be corrected first. */
  isWrong: boolean;
  slots: Slot[];
  onApply: (changes: Config) => void;
  children: ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(false);
  const { estimate, isCurrent, isAsking, error } = estimated;
  const hasNothing = missing.length > 0;
  const shown = hasNothing ? undefined : estimate;
  return (
    <aside class={`new-job-side card${isOpen ? " is-open" : ""}`} aria-label="Estimate">
      <button
        type="button"
        class="new-job-side-bar quiet"
        aria-expanded={isOpen}
        aria-controls="new-job-estimate"
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="chevron" />
        <span class={isCurrent ? "" : "is-old"}>{summarize(shown, missing, isWrong, error !== undefined)}</span>
        {shown?.fits === false && <span class="badge bad">doesn't fit</span>}
      </button>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part has to be reachable by keyboard */}
      <div id="new-job-estimate" class="new-job-side-body" tabIndex={0}>
        <div class="new-job-side-head">
          <h2>Estimate</h2>
          <small class="soft" role="status">
            {isAsking && !isWrong ? "estimating …" : ""}
          </small>
        </div>
        {hasNothing && <Missing words={missing} />}
        {!hasNothing && isWrong && <p class="problem">Correct the fields marked in red to get a new estimate.</p>}
        {!hasNothing && !isWrong && error && <p class="problem">{error.message}</p>}
        {!hasNothing && !estimate && !error && !isWrong && <Skeleton lines={7} />}
        {shown && (
          <div class={`new-job-estimate${isCurrent ? "" : " is-old"}`}>
            <Numbers estimate={shown} slots={slots} onApply={onApply} isCurrent={isCurrent} />
          </div>
        )}
      </div>
      <div class="new-job-actions">{children}</div>
    </aside>
  );
}

function summarize(estimate: JobEstimate | undefined, missing: string[], isWrong: boolean, isFailed: boolean): string {
  if (isWrong) return "Some fields have to be corrected";
  if (missing.length) return missing[0] ?? "";
  if (isFailed) return "No estimate";
  if (!estimate) return "Estimating …";
  const memory = estimate.memory ? Object.values(estimate.memory).reduce((sum, bytes) => sum + bytes, 0) : null;
  return `${formatSeconds(estimate.total_seconds)}${memory === null ? "" : ` · ${formatBytes(memory)}`}`;
}

function Missing({ words }: { words: string[] }) {
  return (
    <div class="new-job-missing">
      <p class="soft">The estimate of time, memory and the place in the queue appears here after these choices:</p>
      <ul>
        {words.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
    </div>
  );
}

function Numbers({
  estimate,
  slots,
  isCurrent,
  onApply,
}: {
  estimate: JobEstimate;
  slots: Slot[];
  isCurrent: boolean;
  onApply: (changes: Config) => void;
}) {
  const bar = makeMemoryBar(estimate, slots);
  return (
    <>
      <div class="new-job-headline">
        <strong class="number">{formatSeconds(estimate.total_seconds)}</strong>
        <span class="soft">on a {estimate.device === "cuda" ? "GPU" : "CPU"} slot</span>
      </div>
      <p class="hint">{describeSource(estimate.speed_source)}</p>
      {bar ? (
        <Memory bar={bar} estimate={estimate} />
      ) : (
        <p class="hint">The sizes of the base model are not known, so the memory can't be estimated.</p>
      )}
      {estimate.fits === false && estimate.advice && (
        <Advice message={estimate.advice} changes={estimate.changes as Config[]} isOff={!isCurrent} onApply={onApply} />
      )}
      <dl class="facts">
        <dt>Steps</dt>
        <dd class="number">{formatCount(estimate.step_count)}</dd>
        <dt>Tokens</dt>
        <dd class="number">
          {formatCount(estimate.token_count)}{" "}
          <span class="soft">of {formatCount(estimate.example_count)} examples</span>
        </dd>
        <dt>Training</dt>
        <dd class="number">{formatSeconds(estimate.train_seconds)}</dd>
        <dt>Queue</dt>
        <dd>
          {estimate.queue_position === null ? "not in turn: a quota of your team" : `place ${estimate.queue_position}`}
        </dd>
        <dt>Starts</dt>
        <dd>
          {estimate.starts_at === null ? (
            `${NONE} no available slot can run this job now`
          ) : isAtOnce(estimate.starts_at) ? (
            "at once"
          ) : (
            <Moment at={estimate.starts_at} />
          )}
        </dd>
        <dt>Ends</dt>
        <dd>{estimate.ends_at === null ? NONE : <Moment at={estimate.ends_at} />}</dd>
      </dl>
    </>
  );
}

const AT_ONCE_MS = 15_000;

function isAtOnce(at: string): boolean {
  return new Date(at).getTime() - Date.now() < AT_ONCE_MS;
}

function Moment({ at }: { at: string }) {
  return (
    <>
      <Time at={at} /> <span class="soft number">{formatClock(new Date(at), new Date())}</span>
    </>
  );
}

function Memory({ bar, estimate }: { bar: MemoryBar; estimate: JobEstimate }) {
  const largest = bar.marks.at(-1);
  // The job takes too small a part of the slots to tell its parts apart, so they are drawn again at full length.
  const isTiny = largest !== undefined && bar.total < TINY_SHARE * largest.bytes;
  return (
    <div class="new-job-memory">
      <div class="new-job-memory-head">
        <span class="field-name">Memory</span>
        <span class="number">
          {formatBytes(bar.total)}
          {largest && <span class="soft"> of {formatBytes(largest.bytes)}</span>}
        </span>
      </div>
      <div class={`new-job-bar${estimate.fits === false ? " is-over" : ""}`} aria-hidden="true">
        {bar.parts.map((part) => (
          <span
            key={part.name}
            class={`new-job-part is-${part.name}`}
            style={{ width: `${100 * part.share}%` }}
            title={`${part.label}: ${formatBytes(part.bytes)}`}
          />
        ))}
        {bar.marks
          .filter((mark) => mark.share < 1)
          .map((mark) => (
            <span
              key={mark.bytes}
              class="new-job-mark"
              style={{ left: `${100 * mark.share}%` }}
              title={`${mark.slots.join(", ")}: ${formatBytes(mark.bytes)}`}
            />
          ))}
      </div>
      {isTiny && (
        <div class="new-job-bar is-zoomed" aria-hidden="true">
          {bar.parts.map((part) => (
            <span
              key={part.name}
              class={`new-job-part is-${part.name}`}
              style={{ width: `${(100 * part.bytes) / bar.total}%` }}
            />
          ))}
        </div>
      )}
      <ul class="new-job-legend">
        {bar.parts.map((part) => (
          <li key={part.name}>
            <span class={`new-job-key is-${part.name}`} aria-hidden="true" />
            {part.label} <span class="soft number">{formatBytes(part.bytes)}</span>
          </li>
        ))}
      </ul>
      <p class={estimate.fits === false ? "problem" : "hint"}>{describeFit(bar, estimate.device)}</p>
    </div>
  );
}
