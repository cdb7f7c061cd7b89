// The most important numbers of the job at a glance.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Job, JobOverview, Run } from "../../api/types";
import { formatAbout, formatBytes, formatCount, formatNumber, formatSeconds, NONE } from "../../lib/format";
import { hasEnded } from "../../lib/jobs-view";
import { Link } from "../../router";
import { Icon } from "../../ui/icons";
import { Progress } from "../../ui/job-parts";
import { Time } from "../../ui/time";

const QUEUE_POLL_MS = 5_000;

export function Summary({ job, runs }: { job: Job; runs: Run[] | undefined }) {
  // This job has no numbers to show: it never ran and is not waiting.
  const isIdle = job.attempt === 0 && job.status !== "queued";
  const slot = runs?.at(-1)?.slot;
  return (
    <section class="card job-summary" aria-label="Summary">
      {job.status === "queued" && <Waiting job={job} />}
      {job.status !== "queued" && job.attempt > 0 && <ProgressOf job={job} />}
      {job.attempt > 0 && <Tiles job={job} />}
      <dl class={`job-facts ${isIdle ? "alone" : ""}`}>
        <Fact name="Posted">
          <Time at={job.created_at} />
          {job.posted_by && ` by ${job.posted_by}`}
        </Fact>
        <Fact name="Base model">{job.base_model}</Fact>
        <Fact name="Dataset">
          <Link to={`/datasets/${job.dataset.id}`}>{job.dataset.name}</Link>
        </Fact>
        {job.validation_dataset && (
          <Fact name="Validation">
            <Link to={`/datasets/${job.validation_dataset.id}`}>{job.validation_dataset.name}</Link>
          </Fact>
        )}
        {job.attempt > 0 && <Fact name={job.status === "running" ? "Slot" : "Last slot"}>{slot ?? NONE}</Fact>}
        <Fact name="Priority">
          {job.priority}, class {job.priority_class}
        </Fact>
        {job.attempt > 1 && <Fact name="Attempt">{job.attempt}</Fact>}
        {job.timeout_seconds !== null && <Fact name="Time limit">{formatSeconds(job.timeout_seconds)}</Fact>}
        {job.batch_split > 1 && <Fact name="Batch">half of batch_size, because the GPU memory was full</Fact>}
        <Fact name="Id">
          <span class="mono">{job.id}</span>
        </Fact>
      </dl>
    </section>
  );
}

function Tiles({ job }: { job: Job }) {
  return (
    <dl class="job-tiles">
      <Tile name="Loss">{formatNumber(job.last_loss)}</Tile>
      {job.status === "running" && (
        <>
          <Tile name="Speed">{job.tokens_per_second ? `${formatCount(job.tokens_per_second)} tokens/s` : NONE}</Tile>
          <Tile name="Time left">{job.eta_seconds === null ? NONE : formatAbout(job.eta_seconds)}</Tile>
        </>
      )}
      {job.finished_at && (
        <Tile name="Finished">
          <Time at={job.finished_at} />
        </Tile>
      )}
      <Tile name={hasEnded(job.status) ? "Start to end" : "Since the start"}>
        <Elapsed job={job} />
      </Tile>
      <Tile name="Checkpoint">
        {job.checkpoint ? (
          <>
            step {formatCount(job.checkpoint.step)}{" "}
            <small>
              <Time at={job.checkpoint.saved_at} />
            </small>
          </>
        ) : (
          NONE
        )}
      </Tile>
      {(job.peak_gpu_bytes ?? job.peak_host_bytes) !== null && (
        <Tile name={job.peak_gpu_bytes === null ? "Peak memory" : "Peak GPU memory"}>
          {formatBytes(job.peak_gpu_bytes ?? job.peak_host_bytes)}
        </Tile>
      )}
    </dl>
  );
}

function ProgressOf({ job }: { job: Job }) {
  return (
    <div class="job-progress">
      <Progress step={job.step} total={job.total_steps} label="Steps done" />
    </div>
  );
}

/** The place, the reason and the expected start of a job in the queue. */
function Waiting({ job }: { job: Job }) {
  const query = makeQuery({ search: job.id, limit: 1 });
  const { data } = usePoll<JobOverview>(`/jobs:overview${query}`, QUEUE_POLL_MS);
  const startsAt = data?.items.find((row) => row.id === job.id)?.starts_at;
  const expected = job.estimate?.train_seconds;
  return (
    <>
      <dl class="job-tiles">
        <Tile name="Place in the queue">
          {job.queue_position === null ? "not in turn at present" : formatCount(job.queue_position)}
        </Tile>
        <Tile name="Expected to start">{startsAt ? <Time at={startsAt} /> : "not known"}</Tile>
        {typeof expected === "number" && <Tile name="Expected to train">{formatAbout(expected)}</Tile>}
        {job.step > 0 && <Tile name="Resumes from step">{formatCount(job.checkpoint?.step ?? 0)}</Tile>}
      </dl>
      {job.queue_reason && (
        <p class="job-waiting">
          <Icon name="clock" /> Waiting: {job.queue_reason.message}.
        </p>
      )}
    </>
  );
}

/** The time from the first start to the end, or until now. */
function Elapsed({ job }: { job: Job }) {
  const isOver = hasEnded(job.status);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (isOver) return;
    const timer = window.setInterval(() => setNow(Date.now()), 1_000);
    return () => window.clearInterval(timer);
  }, [isOver]);
  if (!job.started_at) return <>{NONE}</>;
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  return <>{formatSeconds((end - Date.parse(job.started_at)) / 1_000)}</>;
}

function Tile({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
