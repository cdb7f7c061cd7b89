// The figures of the jobs, and the differences of their configs, with a column for each job.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { LineSwatch } from "../../charts/line-swatch";
import { countOf } from "../../lib/format";
import { Link } from "../../router";
import { Notice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { StatusBadge } from "../../ui/job-parts";
import { TableBox } from "../../ui/table-box";
import type { ShownJob } from "./chart";
import { describeMismatch, listConfigRows, listFigures } from "./compared";
import { SWATCH_LENGTH } from "./looks";

const SHA_LENGTH = 8;
const NAMES_WIDTH = 130;
const JOB_WIDTH = 150;

/** Both tables have the same columns, so that they line up. */
function findWidth(jobs: ShownJob[]): string {
  return `${NAMES_WIDTH + jobs.length * JOB_WIDTH}px`;
}

function JobsHead({ jobs, corner }: { jobs: ShownJob[]; corner: string }) {
  return (
    <thead>
      <tr>
        <th scope="col">{corner}</th>
        {jobs.map(({ job, label, look }) => (
          <th key={job.id} scope="col">
            <LineSwatch look={look} length={SWATCH_LENGTH} />
            <Link to={`/jobs/${job.id}`}>{label}</Link>
          </th>
        ))}
      </tr>
    </thead>
  );
}

function Row({ name, children }: { name: ComponentChildren; children: ComponentChildren }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      {children}
    </tr>
  );
}

export function FiguresTable({ jobs }: { jobs: ShownJob[] }) {
  const mismatch = describeMismatch(jobs.map(({ job }) => job));
  return (
    <section class="card">
      <h2>Figures</h2>
      {mismatch && (
        <div class="card-body">
          <Notice kind="info">{mismatch}</Notice>
        </div>
      )}
      <TableBox label="Figures of the jobs">
        <table class="compare-table" style={{ minWidth: findWidth(jobs) }}>
          <JobsHead jobs={jobs} corner="Figure" />
          <tbody>
            <Row name="Status">
              {jobs.map(({ job }) => (
                <td key={job.id}>
                  <StatusBadge status={job.status} />
                </td>
              ))}
            </Row>
            {listFigures(jobs).map(({ name, figures, best }) => (
              <Row key={name} name={name}>
                {figures.map(({ text, note }, index) => (
                  <td key={jobs[index]?.job.id} class={best.includes(index) ? "is-best" : ""}>
                    {text}
                    {best.includes(index) && (
                      <span class="compare-best">
                        <Icon name="check" />
                        best
                      </span>
                    )}
                    {note && <small>{note}</small>}
                  </td>
                ))}
              </Row>
            ))}
            <Row name="Base model">
              {jobs.map(({ job }) => (
                <td key={job.id}>{job.base_model}</td>
              ))}
            </Row>
            <Row name="Dataset">
              {jobs.map(({ job }) => (
                <td key={job.id}>
                  {job.dataset.name}
                  <small class="mono" title={`sha256 ${job.dataset.sha256}`}>
                    {job.dataset.sha256.slice(0, SHA_LENGTH)}
                  </small>
                </td>
              ))}
            </Row>
          </tbody>
        </table>
      </TableBox>
    </section>
  );
}

export function ConfigsTable({ jobs }: { jobs: ShownJob[] }) {
  const [isAll, setAll] = useState(false);
  const rows = listConfigRows(jobs.map(({ job }) => job));
  const different = rows.filter(({ differs }) => differs);
  const shown = isAll || jobs.length === 1 ? rows : different;
  return (
    <section class="card">
      <div class="card-head">
        <h2>Configs</h2>
        {jobs.length > 1 && (
          <label class="row">
            <input type="checkbox" checked={isAll} onChange={(event) => setAll(event.currentTarget.checked)} />
            Show equal fields ({countOf(rows.length - different.length, "field")})
          </label>
        )}
      </div>
      {shown.length === 0 ? (
        <p class="card-body soft">The configs are the same in all fields.</p>
      ) : (
        <TableBox label="Configs of the jobs">
          <table class="compare-table" style={{ minWidth: findWidth(jobs) }}>
            <JobsHead jobs={jobs} corner="Field" />
            <tbody>
              {shown.map(({ field, values, differs }) => (
                <Row key={field} name={<code>{field}</code>}>
                  {values.map((value, index) => (
                    <td key={jobs[index]?.job.id} class={differs ? "is-different" : "soft"}>
                      {value}
                    </td>
                  ))}
                </Row>
              ))}
            </tbody>
          </table>
        </TableBox>
      )}
    </section>
  );
}
