// The files that the job has produced.

import type { Artifact } from "../../api/types";
import { formatBytes } from "../../lib/format";
import { CopyButton } from "../../ui/copy-button";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import { Section } from "./section";

const KINDS: Record<string, string> = {
  bundle: "Bundle: adapter, emotion projection, tokenizer",
  metrics: "Metrics of each step",
  loss_curve: "Plot of the loss",
  row_report: "Loss of each example",
  log: "Log of the training process",
};
const SHORT_SHA = 10;

export function Artifacts({ jobId, artifacts }: { jobId: string; artifacts: Artifact[] }) {
  return (
    <Section id="artifacts" title="Artifacts">
      {artifacts.length === 0 ? (
        <p class="soft">There are no artifacts yet. They are stored when a run ends.</p>
      ) : (
        <div class="table-box">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col">File</th>
                <th scope="col" class="number">
                  Size
                </th>
                <th scope="col">sha256</th>
                <th scope="col">Stored</th>
                <th scope="col">
                  <span class="hidden-text">Download</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {artifacts.map((artifact) => (
                <tr key={artifact.kind}>
                  <td class="job-artifact">
                    <b>{artifact.filename}</b>
                    <small class="soft">{KINDS[artifact.kind] ?? artifact.kind}</small>
                  </td>
                  <td data-label="Size" class="number">
                    {formatBytes(artifact.size_bytes)}
                  </td>
                  <td data-label="sha256">
                    <span class="job-sha">
                      <code title={artifact.sha256}>{artifact.sha256.slice(0, SHORT_SHA)}…</code>
                      <CopyButton label={`Copy the sha256 of ${artifact.filename}`} getText={() => artifact.sha256} />
                    </span>
                  </td>
                  <td data-label="Stored">
                    <Time at={artifact.created_at} />
                  </td>
                  <td>
                    <a
                      class="button small"
                      href={`/jobs/${jobId}/artifacts/${artifact.kind}`}
                      download
                      aria-label={`Download ${artifact.filename}`}
                    >
                      <Icon name="download" /> Download
                    </a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
