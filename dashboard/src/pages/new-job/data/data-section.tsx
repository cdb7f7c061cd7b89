// Chooses the dataset for the training, and the examples on which the loss is measured.

import type { Dataset } from "../../../api/types";
import { VALIDATION_FIELD } from "../../../lib/config-fields";
import { countOf, formatShare } from "../../../lib/format";
import { fieldId } from "../config/config-field";
import { useForm } from "../form-context";
import { DEFAULT_SHARE, type Validation } from "../job-form";
import { DatasetPicker } from "./dataset-picker";
import { Uploader } from "./uploader";
import { type Datasets, useDataset } from "./use-datasets";
import "./data-section.css";

const KINDS: { value: Validation; label: string }[] = [
  { value: "none", label: "None" },
  { value: "share", label: "A share of the dataset" },
  { value: "dataset", label: "Another dataset" },
];

const HINTS: Record<Validation, string> = {
  none: "All examples are used for training, and only the loss on them is shown.",
  share:
    "These examples are held out from the training, chosen by content, to measure the loss on examples that the model has not seen.",
  dataset: "The loss is measured on this dataset, and it is not used for training.",
};

export function DataSection({ datasets }: { datasets: Datasets }) {
  const { form, change, getProblem, setDraft } = useForm();

  function take(dataset: Dataset): void {
    datasets.refresh();
    change({ datasetId: dataset.id });
  }

  return (
    <section class="card">
      <h2>Dataset</h2>
      <div class="card-body stack">
        <Uploader onDone={take}>
          <DatasetPicker
            id={fieldId("dataset_id")}
            label="Dataset to train on"
            value={form.datasetId}
            datasets={datasets}
            problem={getProblem("dataset_id")}
            onPick={(datasetId) => change({ datasetId })}
          />
        </Uploader>
        <fieldset class="new-job-fieldset">
          <legend class="field-name">Validation</legend>
          <div class="new-job-radios">
            {KINDS.map((kind) => (
              <label key={kind.value} class="new-job-check">
                <input
                  type="radio"
                  name="validation"
                  checked={form.validation === kind.value}
                  onChange={() => {
                    change({ validation: kind.value });
                    if (kind.value === "share" && form.drafts[VALIDATION_FIELD] === undefined)
                      setDraft(VALIDATION_FIELD, DEFAULT_SHARE);
                  }}
                />
                {kind.label}
              </label>
            ))}
          </div>
          <p class="hint">{HINTS[form.validation]}</p>
          {form.validation === "share" && <Share datasets={datasets} />}
          {form.validation === "dataset" && (
            <DatasetPicker
              id={fieldId("validation_dataset_id")}
              label="Dataset to measure the loss on"
              value={form.validationDatasetId}
              datasets={datasets}
              exclude={form.datasetId}
              problem={getProblem("validation_dataset_id")}
              onPick={(validationDatasetId) => change({ validationDatasetId })}
            />
          )}
        </fieldset>
      </div>
    </section>
  );
}

function Share({ datasets }: { datasets: Datasets }) {
  const { form, values, setDraft, getProblem } = useForm();
  const { dataset } = useDataset(form.datasetId, datasets.items);
  const problem = getProblem(VALIDATION_FIELD, true);
  const share = values[VALIDATION_FIELD];
  const id = fieldId(VALIDATION_FIELD);
  return (
    <div class="new-job-share">
      <div class="new-job-control">
        <label for={id}>Share</label>
        <input
          id={id}
          type="text"
          inputMode="decimal"
          autocomplete="off"
          class="number"
          value={String(form.drafts[VALIDATION_FIELD] ?? "")}
          placeholder={DEFAULT_SHARE}
          aria-invalid={problem ? "true" : undefined}
          aria-describedby={`${id}-hint ${id}-problem`}
          onInput={(event) => setDraft(VALIDATION_FIELD, event.currentTarget.value)}
          onBlur={(event) => {
            if (event.currentTarget.value.trim() === "") setDraft(VALIDATION_FIELD, DEFAULT_SHARE);
          }}
        />
        <span id={`${id}-hint`} class="soft">
          {typeof share === "number" && !problem
            ? `${formatShare(share)}${dataset ? `: about ${countOf(dataset.example_count * share, "example")}` : ""}`
            : "between 0 and 0.5"}
        </span>
      </div>
      <p id={`${id}-problem`} class="problem">
        {problem}
      </p>
    </div>
  );
}
