// Of a job that is copied: in what the form differs from it, and what of it is gone.

import type { Config, ConfigField } from "../../lib/config-fields";
import { Notice } from "../../ui/feedback";
import { type JobForm, listDifferences } from "./job-form";
import "./from-original.css";

const NOTED = ["datasetId", "validationDatasetId"] as const;
/** What of the original is gone, to be said until something else is chosen. */
export type Notes = Partial<Record<(typeof NOTED)[number], string>>;

export interface Original {
  id: string;
  name: string;
  config: Record<string, unknown>;
  /** The form that would make it again, as it was. */
  form: JobForm;
}

export function FromOriginal({
  form,
  values,
  original,
  notes,
  fields,
}: {
  form: JobForm;
  values: Config;
  original: Original;
  notes: Notes;
  fields: ConfigField[];
}) {
  const names = listDifferences(form, values, original, fields);
  return (
    <>
      <p class="new-job-differences" role="status">
        {names.length ? (
          <>
            Differs from the original in <strong>{names.join(", ")}</strong>.
          </>
        ) : (
          "The same as the original, but for the name."
        )}
      </p>
      {NOTED.map(
        (name) =>
          notes[name] &&
          form[name] === "" && (
            <Notice key={name} kind="warning">
              {notes[name]}
            </Notice>
          ),
      )}
    </>
  );
}
