// Compares the time and memory that the job took with its estimate.

import type { Job } from "../../api/types";
import { formatBytes, formatCount, formatNumber, formatSeconds, formatShare, NONE } from "../../lib/format";
import { TableBox } from "../../ui/table-box";
import { Section } from "./section";

const SOURCES: Record<string, string> = {
  like_jobs: "The estimate is based on similar jobs that ran here.",
  same_base_model: "The estimate is based on other jobs with the same base model.",
  arithmetic: "No similar job had run here, so the estimate was calculated from the sizes alone.",
};

type Format = (value: number | null | undefined) => string;

const LINES: readonly (readonly [name: string, estimated: string, taken: string, format: Format])[] = [
  ["Training time", "train_seconds", "train_seconds", formatSeconds],
  ["Steps", "step_count", "step_count", formatCount],
  ["Tokens", "token_count", "token_count", formatCount],
  ["Peak memory", "peak_memory_bytes", "peak_memory_bytes", formatBytes],
  ["Peak host memory", "", "peak_host_bytes", formatBytes],
  ["Last loss", "", "final_loss", formatNumber],
];

export function Outcome({ job }: { job: Job }) {
  const { estimate, result } = job;
  if (!estimate && !result) return null;
  const lines = LINES.map(([name, estimated, taken, format]) => ({
    name,
    format,
    estimated: read(estimate, estimated),
    taken: read(result, taken),
  })).filter((line) => line.estimated !== null || line.taken !== null);
  const source = SOURCES[String(estimate?.speed_source ?? "")];
  return (
    <Section id="outcome" title={result ? "Time and memory" : "Estimate"}>
      <TableBox label="Estimate and result">
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col" class="number">
                Estimated
              </th>
              {result && (
                <>
                  <th scope="col" class="number">
                    Actual
                  </th>
                  <th scope="col" class="number">
                    Share of the estimate
                  </th>
                </>
              )}
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={line.name}>
                <th scope="row">{line.name}</th>
                <td class="number">{line.estimated === null ? NONE : line.format(line.estimated)}</td>
                {result && (
                  <>
                    <td class="number">{line.taken === null ? NONE : line.format(line.taken)}</td>
                    <td class="number">
                      {line.taken !== null && line.estimated ? formatShare(line.taken / line.estimated) : NONE}
                    </td>
                  </>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </TableBox>
      {source && <p class="soft job-source">{source}</p>}
    </Section>
  );
}

function read(facts: Record<string, unknown> | null, name: string): number | null {
  const value = facts?.[name];
  return typeof value === "number" ? value : null;
}
