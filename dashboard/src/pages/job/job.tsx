// The page of one job: its progress, its live curves, and everything else that is known about it.

import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { Artifact, Items, Job, Run } from "../../api/types";
import { hasEnded } from "../../lib/jobs-view";
import { Link, type Route } from "../../router";
import { Empty, ErrorBox, Skeleton, StaleNotice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { StatusBadge } from "../../ui/job-parts";
import { JobActions } from "./actions";
import { Artifacts } from "./artifacts";
import { Attempts } from "./attempts";
import { ConfigSection } from "./config/config-section";
import { EditDialog } from "./edit-dialog";
import { Failure } from "./failure";
import { LogSection } from "./log-section";
import { Outcome } from "./outcome";
import { RowsSection } from "./rows-section";
import { SectionNav } from "./section";
import { Summary } from "./summary";
import { Timeline } from "./timeline";
import { describeNow } from "./words";
import "./job.css";

// The library for the curves is the heaviest part, so the page's head is shown before it is loaded.
const CurvesSection = lazy(() => import("./curves/curves-section").then((module) => module.CurvesSection));

export function JobPage({ jobId }: { jobId: string; route: Route }) {
  const { data: job, error, put, refresh } = usePoll<Job>(`/jobs/${encodeURIComponent(jobId)}`);
  const name = job?.name;
  useEffect(() => {
    if (!name) return;
    const before = document.title;
    document.title = `${name} · emotune`;
    return () => {
      document.title = before;
    };
  }, [name]);
  if (!job) {
    if (error?.status === 404) {
      return (
        <Empty icon="jobs" title="Job not found">
          <p>It doesn't exist, or it belongs to another team.</p>
          <Link to="/jobs">All jobs</Link>
        </Empty>
      );
    }
    return error ? <ErrorBox error={error} /> : <Loading />;
  }
  return (
    <>
      <Loaded
        job={job}
        onChange={(next) => {
          if (next) put(next);
          refresh();
        }}
      />
      <StaleNotice error={error} />
    </>
  );
}

function Loading() {
  return (
    <div class="stack">
      <div class="skeleton job-head-space" />
      <div class="card">
        <Skeleton lines={4} />
      </div>
      <div class="card job-loss-space">
        <Skeleton lines={8} />
      </div>
    </div>
  );
}

function Loaded({ job, onChange }: { job: Job; onChange: (job?: Job) => void }) {
  const [isEditing, setEditing] = useState(false);
  const { runs, artifacts } = useParts(job);
  const isOver = hasEnded(job.status);
  const hasRun = job.attempt > 0;
  // A job that ended before its first step has no curves.
  const hasCurves = hasRun && !(isOver && job.last_loss === null);
  const hasRows = artifacts?.some((artifact) => artifact.kind === "row_report") ?? false;
  const sections = [
    ...(hasCurves ? [["loss", "Loss"] as const, ["measures", "Other curves"] as const] : []),
    ...(hasRun ? [["log", "Log"] as const] : []),
    ["timeline", "Timeline"] as const,
    ...(job.attempt > 1 ? [["attempts", "Attempts"] as const] : []),
    ...(hasRows ? [["rows", "Hardest examples"] as const] : []),
    ...(job.result || job.estimate ? [["outcome", job.result ? "Time and memory" : "Estimate"] as const] : []),
    ...(hasRun ? [["artifacts", "Artifacts"] as const] : []),
    ["config", "Config"] as const,
  ];
  return (
    <div class="stack job-page">
      <div class="page-head job-head">
        <div class="job-title">
          <h1>{job.name}</h1>
          <button
            type="button"
            class="quiet"
            title="Change name or priority"
            aria-label="Change name or priority"
            onClick={() => setEditing(true)}
          >
            <Icon name="edit" />
          </button>
          <StatusBadge status={job.status} note={describeNow(job)} />
        </div>
        <JobActions job={job} onChange={onChange} />
      </div>
      {job.status === "failed" && <Failure job={job} />}
      <Summary job={job} runs={runs} />
      <SectionNav sections={sections} />
      {hasCurves && (
        <Suspense fallback={<div class="card job-loss-space" />}>
          <CurvesSection jobId={job.id} isOver={isOver} />
        </Suspense>
      )}
      <div class="job-columns">
        {hasRun && <LogSection jobId={job.id} attempt={job.attempt} isRunning={job.status === "running"} />}
        <Timeline jobId={job.id} isOver={isOver} attempt={job.attempt} />
        {!hasRun && <Outcome job={job} />}
      </div>
      {runs && job.attempt > 1 && <Attempts runs={runs} />}
      {hasRows && <RowsSection jobId={job.id} datasetId={job.validation_dataset?.id ?? job.dataset.id} />}
      {hasRun && (
        <div class="job-columns even">
          <Outcome job={job} />
          {artifacts && <Artifacts jobId={job.id} artifacts={artifacts} />}
        </div>
      )}
      <ConfigSection config={job.config} />
      {isEditing && <EditDialog job={job} onClose={() => setEditing(false)} onChange={onChange} />}
    </div>
  );
}

/** Runs and artifacts change when a run begins, resumes from a checkpoint or ends, so they are loaded again then. */
function useParts(job: Job): { runs: Run[] | undefined; artifacts: Artifact[] | undefined } {
  const runs = usePoll<Items<Run>>(`/jobs/${job.id}/runs`, 0);
  const artifacts = usePoll<Items<Artifact>>(`/jobs/${job.id}/artifacts`, 0);
  const stage = `${job.status} ${job.attempt} ${job.phase} ${job.step > 0}`;
  const [before, setBefore] = useState(stage);
  useEffect(() => {
    if (stage === before) return;
    setBefore(stage);
    runs.refresh();
    artifacts.refresh();
  }, [stage, before, runs.refresh, artifacts.refresh]);
  return { runs: runs.data?.items, artifacts: artifacts.data?.items };
}
