// For a copied job: shows how the form differs from the original, and which parts of the original are gone.

import type { Config, ConfigField } from "../../lib/config-fields";
import { Notice } from "../../ui/feedback";
import { type JobForm, listDifferences } from "./job-form";
import "./from-original.css";

const NOTED = ["datasetId", "validationDatasetId"] as const;
/** The parts of the original that are gone, which are reported until something else is chosen. */
export type Notes = Partial<Record<(typeof NOTED)[number], string>>;

export interface Original {
  id: string;
  name: string;
  config: Record<string, unknown>;
  /** The form that would make the original job again. */
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
          "The same as the original, except for the name."
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
