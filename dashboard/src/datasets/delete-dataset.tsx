// Asks for confirmation before a dataset is deleted. If a job still needs it, the API's error names the job.

import { request } from "../api/client";
import type { Dataset } from "../api/types";
import { countOf } from "../lib/format";
import { Confirm } from "../ui/dialog";

export function DeleteDataset({
  dataset,
  onDeleted,
  onClose,
}: {
  dataset: Dataset;
  onDeleted: (dataset: Dataset) => void;
  onClose: () => void;
}) {
  return (
    <Confirm
      title="Delete this dataset?"
      action="Delete it"
      onClose={onClose}
      act={async () => {
        await request("DELETE", `/datasets/${dataset.id}`);
        onDeleted(dataset);
      }}
    >
      <p>
        <strong>{dataset.name}</strong> with its {countOf(dataset.example_count, "example")} can't be restored. Jobs
        that have ended keep its name, its sha256 and their results.
      </p>
    </Confirm>
  );
}
