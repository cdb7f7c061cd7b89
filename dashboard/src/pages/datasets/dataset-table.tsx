// The table of datasets.

import { useState } from "preact/hooks";
import type { Dataset } from "../../api/types";
import { DeleteDataset } from "../../datasets/delete-dataset";
import { isDefaultAxes } from "../../lib/emotion";
import { formatBytes, formatCount } from "../../lib/format";
import { Link } from "../../router";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import "./dataset-table.css";

const LISTED_AXES = 3;

export function DatasetTable({ datasets, onDeleted }: { datasets: Dataset[]; onDeleted: (dataset: Dataset) => void }) {
  const [doomed, setDoomed] = useState<Dataset | null>(null);
  return (
    <div class="table-box">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="number">
              Examples
            </th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">Uploaded</th>
            <th scope="col">
              <span class="hidden-text">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {datasets.map((dataset) => (
            <tr key={dataset.id}>
              <td class="datasets-name">
                <Link to={`/datasets/${dataset.id}`}>{dataset.name}</Link>
                {!isDefaultAxes(dataset.axes) && <OwnAxes axes={dataset.axes} />}
              </td>
              <td class="number" data-label="Examples">
                {formatCount(dataset.example_count)}
              </td>
              <td class="number" data-label="Size">
                {formatBytes(dataset.size_bytes)}
              </td>
              <td data-label="Uploaded">
                <Time at={dataset.created_at} />
              </td>
              <td class="datasets-actions">
                <div class="row">
                  <Link
                    to="/new-job"
                    query={{ dataset: dataset.id }}
                    class="button small"
                    aria-label={`New job with ${dataset.name}`}
                  >
                    New job
                  </Link>
                  <button
                    type="button"
                    class="quiet small"
                    title="Delete"
                    aria-label={`Delete ${dataset.name}`}
                    onClick={() => setDoomed(dataset)}
                  >
                    <Icon name="trash" />
                  </button>
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {doomed && <DeleteDataset dataset={doomed} onDeleted={onDeleted} onClose={() => setDoomed(null)} />}
    </div>
  );
}

function OwnAxes({ axes }: { axes: string[] }) {
  const rest = axes.length - LISTED_AXES;
  return (
    <small class="soft" title={axes.join(", ")}>
      {axes.length} custom axes: {axes.slice(0, LISTED_AXES).join(", ")}
      {rest > 0 && ` and ${rest} more`}
    </small>
  );
}
