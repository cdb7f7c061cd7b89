// The form before an upload: the name of the dataset and, rarely needed, how the file is to be read.

import { useId, useState } from "preact/hooks";
import { edit, type Sending, start } from "../../datasets/uploads";
import "./sending-form.css";

const PRESET = "goemotions";
/** The fields of the API's errors that have an input in this form. */
export const FORM_FIELDS: ReadonlySet<string> = new Set(["name", "axes", "mapping"]);

export function SendingForm({ sending }: { sending: Sending }) {
  const { id, name, axes, mapping } = sending;
  const [isOwn, setOwn] = useState(mapping !== "" && mapping !== PRESET);
  const fieldId = useId();
  const findError = (field: string) => sending.error?.problems.find((problem) => problem.field === field)?.message;
  const isNamed = name.trim() !== "";
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (isNamed) start([id]);
      }}
    >
      <div class="datasets-form">
        <label class="field">
          <span class="field-name">Name</span>
          <input
            required
            maxLength={200}
            value={name}
            aria-invalid={isNamed && !findError("name") ? undefined : "true"}
            onInput={(event) => edit(id, { name: event.currentTarget.value })}
          />
        </label>
        <button type="button" onClick={() => start([id], { isCheck: true })}>
          Check only
        </button>
        <button type="submit" class="primary" disabled={!isNamed}>
          Upload
        </button>
      </div>
      {findError("name") && (
        <p class="problem" role="alert">
          {findError("name")}
        </p>
      )}
      <details open={axes !== "" || mapping !== ""}>
        <summary>Custom axes, or texts with labels</summary>
        <div class="datasets-options">
          <div class="field">
            <label for={`${fieldId}-axes`} class="field-name">
              Custom axes
            </label>
            <input
              id={`${fieldId}-axes`}
              aria-describedby={`${fieldId}-axes-hint`}
              aria-invalid={findError("axes") ? "true" : undefined}
              value={axes}
              spellcheck={false}
              placeholder="COLD_WARM,SHY_BOLD"
              onInput={(event) => edit(id, { axes: event.currentTarget.value })}
            />
            <span id={`${fieldId}-axes-hint`} class="hint">
              2 to 64 names of the form NEGATIVE_POSITIVE, in place of the eight default axes. Empty: the default axes.
            </span>
            <span class="problem" role="alert">
              {findError("axes")}
            </span>
          </div>
          <div class="field">
            <label for={`${fieldId}-mapping`} class="field-name">
              The file holds
            </label>
            <select
              id={`${fieldId}-mapping`}
              aria-describedby={`${fieldId}-mapping-hint`}
              value={isOwn ? "own" : mapping}
              onChange={(event) => {
                const chosen = event.currentTarget.value;
                setOwn(chosen === "own");
                edit(id, { mapping: chosen === "own" ? '{"labels": {"glad": {"joy": 0.7}, "calm": {}}}' : chosen });
              }}
            >
              <option value="">chats with emotions</option>
              <option value={PRESET}>texts with the labels of GoEmotions</option>
              <option value="own">texts with your own labels</option>
            </select>
            <span id={`${fieldId}-mapping-hint`} class="hint">
              Each text with labels becomes a reply with the emotion of its labels.
            </span>
            <span class="problem" role="alert">
              {findError("mapping")}
            </span>
          </div>
          {isOwn && (
            <label class="field datasets-mapping">
              <span class="field-name">Mapping, in JSON</span>
              <textarea
                class="mono"
                rows={4}
                spellcheck={false}
                value={mapping}
                onInput={(event) => edit(id, { mapping: event.currentTarget.value })}
              />
            </label>
          )}
        </div>
      </details>
    </form>
  );
}
