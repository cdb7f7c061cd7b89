// The runs of a job that was run more than once.

import type { Run } from "../../api/types";
import { formatBytes, formatCount, formatSeconds, NONE } from "../../lib/format";
import { TableBox } from "../../ui/table-box";
import { Time } from "../../ui/time";
import { Section } from "./section";

const CAUSES: Record<string, string> = {
  crash: "crashed, retried",
  interruption: "interrupted",
  smaller_batch: "GPU memory full, retried with a smaller batch",
};

export function Attempts({ runs }: { runs: Run[] }) {
  return (
    <Section id="attempts" title="Attempts">
      <TableBox label="The attempts">
        <table class="cards">
          <thead>
            <tr>
              <th scope="col">Attempt</th>
              <th scope="col">Slot</th>
              <th scope="col">Started</th>
              <th scope="col" class="number">
                Duration
              </th>
              <th scope="col" class="number">
                From step
              </th>
              <th scope="col">How it ended</th>
              <th scope="col" class="number">
                Peak memory
              </th>
            </tr>
          </thead>
          <tbody>
            {runs.toReversed().map((run) => (
              <tr key={run.attempt}>
                <td data-label="Attempt">{run.attempt}</td>
                <td data-label="Slot" class="job-slot">
                  {run.slot}
                </td>
                <td data-label="Started">
                  <Time at={run.started_at} />
                </td>
                <td data-label="Duration" class="number">
                  {run.ended_at
                    ? formatSeconds((Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1_000)
                    : "running"}
                </td>
                <td data-label="From step" class="number">
                  {run.resumed_step === null ? "the start" : formatCount(run.resumed_step)}
                </td>
                <td data-label="How it ended">
                  <Ending run={run} />
                </td>
                <td data-label="Peak memory" class="number">
                  {formatBytes(run.peak_gpu_bytes ?? run.peak_host_bytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableBox>
    </Section>
  );
}

function Ending({ run }: { run: Run }) {
  if (!run.ended_at) return <>{NONE}</>;
  const words = run.cause ? (CAUSES[run.cause] ?? run.cause) : run.outcome;
  return (
    <div class="job-ending">
      <span>{words}</span>
      {run.error && (
        <small class="soft" title={run.error.advice ?? undefined}>
          {run.error.message}
          {run.exit_code !== null && run.exit_code !== 0 && ` (exit code ${run.exit_code})`}
        </small>
      )}
    </div>
  );
}
