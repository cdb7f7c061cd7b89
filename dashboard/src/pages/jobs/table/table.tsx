// The table of jobs: headings that sort, and a row for each job.

import type { JobRow } from "../../../api/types";
import { readAriaSort, turnSort } from "../../../lib/jobs-view";
import { Icon } from "../../../ui/icons";
import type { JobActions } from "../actions";
import type { StatusChanges } from "../changes";
import type { Chosen } from "../chosen";
import { JobsRow } from "./row";
import "./table.css";

/** The columns in the order of the cells in row.tsx, with `sort` if the API sorts by the column. */
const COLUMNS: { name: string; sort?: string; isHidden?: boolean; isNumber?: boolean; label: string }[] = [
  { name: "pick", label: "Choose", isHidden: true },
  { name: "name", label: "Job", sort: "name" },
  { name: "status", label: "Status", sort: "status" },
  { name: "progress", label: "Progress" },
  { name: "ends", label: "Ends", sort: "finished_at" },
  { name: "loss", label: "Loss", sort: "last_loss" },
  { name: "speed", label: "Tokens/s", isNumber: true },
  { name: "posted", label: "Posted", sort: "created_at" },
  { name: "menu", label: "Actions", isHidden: true },
];
const SKELETON_ROWS = 8;

function Columns() {
  return (
    <colgroup>
      {COLUMNS.map(({ name }) => (
        <col key={name} class={`jobs-${name}`} />
      ))}
    </colgroup>
  );
}

export function JobsTable({
  rows,
  sort,
  changed,
  chosen,
  actions,
  onSort,
}: {
  rows: JobRow[];
  sort: string;
  changed: StatusChanges;
  chosen: Chosen;
  actions: JobActions;
  onSort: (sort: string) => void;
}) {
  return (
    <table class="card jobs-table">
      <caption class="hidden-text">Your team's jobs</caption>
      <Columns />
      <thead>
        <tr>
          {COLUMNS.map(({ name, label, sort: key, isHidden, isNumber }) => {
            const order = key && readAriaSort(sort, key);
            return (
              <th
                key={name}
                scope="col"
                class={`jobs-${name}${isNumber ? " number" : ""}`}
                {...(order ? { "aria-sort": order } : {})}
              >
                {isHidden ? (
                  <span class="hidden-text">{label}</span>
                ) : key ? (
                  <button type="button" onClick={() => onSort(turnSort(sort, key))}>
                    {label}
                    <span class={order === "none" ? "jobs-arrow" : "jobs-arrow is-on"} aria-hidden="true">
                      <Icon name={order === "ascending" ? "up" : "down"} />
                    </span>
                  </button>
                ) : (
                  label
                )}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <JobsRow
            key={row.id}
            row={row}
            isChanged={changed.ids.has(row.id)}
            isChosen={chosen.has(row.id)}
            isFull={chosen.isFull}
            onToggle={chosen.toggle}
            actions={actions}
          />
        ))}
      </tbody>
    </table>
  );
}

/** It is as high as the rows that are loading. */
export function TableSkeleton() {
  return (
    <div class="card jobs-skeleton" role="status" aria-label="Loading the jobs">
      {Array.from({ length: SKELETON_ROWS }, (_, index) => (
        <div key={index}>
          <div class="skeleton" />
          <div class="skeleton" />
          <div class="skeleton" />
        </div>
      ))}
    </div>
  );
}
