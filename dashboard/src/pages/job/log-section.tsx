// The end of a run's log, updated while the log is written.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { POLL_MS, usePollText } from "../../api/poll";
import { CopyButton } from "../../ui/copy-button";
import { Section } from "./section";

const TAIL_LINES = 500;
/** Within this distance from the end, the log keeps following the end. */
const END_PIXELS = 24;

export function LogSection({ jobId, attempt, isRunning }: { jobId: string; attempt: number; isRunning: boolean }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const shown = chosen ?? attempt;
  const path = `/jobs/${jobId}/logs`;
  const isLive = isRunning && shown === attempt;
  const { data: text, error } = usePollText(
    `${path}${makeQuery({ tail: TAIL_LINES, attempt: shown })}`,
    isLive ? POLL_MS : 0,
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is the reason to scroll
  useLayoutEffect(() => {
    if (isFollowing && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, isFollowing]);

  function onScroll(): void {
    const element = box.current;
    if (element) setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < END_PIXELS);
  }

  return (
    <Section
      id="log"
      title="Log"
      tools={
        <>
          {attempt > 1 && (
            <label class="job-attempt">
              Attempt
              <select value={shown} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
                {Array.from({ length: attempt }, (_, index) => attempt - index).map((each) => (
                  <option key={each} value={each}>
                    {each}
                  </option>
                ))}
              </select>
            </label>
          )}
          {isLive && (
            <label class="row">
              <input
                type="checkbox"
                checked={isFollowing}
                onChange={(event) => setFollowing(event.currentTarget.checked)}
              />
              Follow new lines
            </label>
          )}
          <CopyButton label="Copy these lines" getText={() => text ?? ""} />
          <a
            class="button quiet small"
            href={`${path}${makeQuery({ attempt: shown })}`}
            target="_blank"
            rel="noreferrer"
          >
            Whole log
          </a>
        </>
      }
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part has to be reachable by keyboard */}
      <pre class="log job-log" ref={box} tabIndex={0} onScroll={onScroll}>
        {text ?? (error ? "" : "Loading …")}
        {text === "" && <span class="soft">The log is empty so far.</span>}
      </pre>
      <p class="problem">{error?.message}</p>
    </Section>
  );
}
