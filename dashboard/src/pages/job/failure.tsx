// Explains why a job failed, and what to change.

import type { Job } from "../../api/types";
import { formatBytes } from "../../lib/format";
import { Link } from "../../router";
import { Icon } from "../../ui/icons";

export function Failure({ job }: { job: Job }) {
  const error = job.error;
  if (!error) return null;
  const peaks = [
    job.peak_gpu_bytes === null ? "" : `${formatBytes(job.peak_gpu_bytes)} of GPU memory`,
    job.peak_host_bytes === null ? "" : `${formatBytes(job.peak_host_bytes)} of host memory`,
  ].filter(Boolean);
  return (
    <section class="notice failed job-failure" aria-label="Why it failed">
      <Icon name="alert" />
      <div>
        {/* Some messages end with the advice, which has its own line below. */}
        <h2>{error.advice ? error.message.replace(error.advice, "").trim() || error.message : error.message}</h2>
        {error.advice && (
          <p>
            <strong>What to change:</strong> {error.advice}{" "}
            <Link to="/new-job" query={{ from: job.id }}>
              Clone with changes
            </Link>
          </p>
        )}
        <p class="soft">
          <code>{error.code}</code>
          {peaks.length > 0 && ` · peak use: ${peaks.join(" and ")}`}
        </p>
        {error.log.length > 0 && (
          <details open>
            <summary>The last lines of its log</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part has to be reachable by keyboard */}
            <pre class="log" tabIndex={0}>
              {error.log.join("\n")}
            </pre>
          </details>
        )}
      </div>
    </section>
  );
}
