// Shows a job at a glance: its status, its progress, and the shape of its loss.

import type { JobStatus } from "../api/types";
import { formatCount, formatShare } from "../lib/format";
import { makeSparkline } from "./sparkline";
import "./job-parts.css";

export const STATUS_NAMES: Record<JobStatus, string> = {
  queued: "Queued",
  running: "Running",
  paused: "Paused",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
};

export function StatusBadge({ status, note }: { status: JobStatus; note?: string | undefined }) {
  return (
    <span class={`badge ${status}`}>
      <span class="dot" aria-hidden="true" />
      {STATUS_NAMES[status]}
      {note && <small>{note}</small>}
    </span>
  );
}

export function Progress({ step, total, label }: { step: number; total: number | null | undefined; label?: string }) {
  const share = total ? Math.min(step / total, 1) : 0;
  return (
    <div class="progress">
      <progress max={1} value={share} aria-label={label ?? "Progress"} />
      <small>{total ? `${formatCount(step)} / ${formatCount(total)} · ${formatShare(share)}` : "not started"}</small>
    </div>
  );
}

export function Sparkline({
  losses,
  width = 96,
  height = 24,
}: {
  losses: (number | null)[];
  width?: number;
  height?: number;
}) {
  const points = makeSparkline(losses, width, height);
  if (!points) return <svg class="sparkline" width={width} height={height} aria-hidden="true" />;
  return (
    <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <polyline points={points} />
    </svg>
  );
}
