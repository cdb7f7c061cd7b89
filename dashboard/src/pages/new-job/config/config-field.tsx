// The field of one hyperparameter: its name, its description, its value, and a button that resets it to the preset's
// value.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConfigField, ConfigValue } from "../../../lib/config-fields";
import { Icon } from "../../../ui/icons";
import { Described } from "../described";
import { useForm } from "../form-context";
import { describeValue, formatValue, isSame, parseDraft } from "./config-values";
import "./config-field.css";

export function fieldId(name: string): string {
  return `new-job-${name}`;
}

export function ConfigFieldRow({ field, after }: { field: ConfigField; after?: JSX.Element }) {
  const { base, values, original, form, setDraft, getProblem } = useForm();
  const [isLeft, setLeft] = useState(false);
  const problem = getProblem(field.name, isLeft);
  const id = fieldId(field.name);
  const standard = base[field.name];
  const isTouched = form.drafts[field.name] !== undefined;
  const isChanged = !isSame(values[field.name], standard) || (isTouched && problem !== "");
  const was = original?.config[field.name] as ConfigValue | undefined;
  const isOther = original !== null && was !== undefined && !isSame(values[field.name], was);

  function leave(): void {
    setLeft(true);
    const draft = form.drafts[field.name];
    if (typeof draft !== "string") return;
    const parsed = parseDraft(draft, field);
    // An empty field has the preset's value, and so has a field in which that value was typed.
    if (draft.trim() === "" || ("value" in parsed && isSame(parsed.value, standard))) setDraft(field.name, undefined);
  }

  return (
    <div class={`new-job-field${isChanged ? " is-changed" : ""}`}>
      <div class="new-job-field-head">
        {field.kind === "list" ? (
          <span id={`${id}-label`} class="field-name">
            {field.label}
          </span>
        ) : (
          <label for={id} class="field-name">
            {field.label}
          </label>
        )}
        <code class="soft">{field.name}</code>
        {isChanged && (
          <button
            type="button"
            class="quiet small new-job-reset"
            aria-label={`Reset ${field.label} to ${describeValue(standard, field)}`}
            title={`Reset to ${describeValue(standard, field)}`}
            onClick={() => setDraft(field.name, undefined)}
          >
            <Icon name="close" /> reset
          </button>
        )}
      </div>
      <div class="new-job-control">
        <Control
          field={field}
          id={id}
          problem={problem}
          onInput={(draft) => {
            if (problem) setLeft(false);
            setDraft(field.name, draft);
          }}
          onLeave={leave}
        />
        {field.unit && <span class="soft">{field.unit}</span>}
        {after}
      </div>
      <p id={`${id}-problem`} class="problem">
        <Described text={problem} />
      </p>
      <p id={`${id}-hint`} class="hint">
        <Described text={field.description} />{" "}
        <span class="new-job-default">Default: {describeValue(standard, field)}.</span>
        {isOther && <strong class="new-job-was"> Original: {describeValue(was, field)}.</strong>}
      </p>
    </div>
  );
}

function Control({
  field,
  id,
  problem,
  onInput,
  onLeave,
}: {
  field: ConfigField;
  id: string;
  problem: string;
  onInput: (draft: ConfigValue | undefined) => void;
  onLeave: () => void;
}) {
  const { form, base, values } = useForm();
  const draft = form.drafts[field.name];
  const standard = base[field.name];
  const shared = {
    id,
    "aria-describedby": `${id}-hint ${id}-problem`,
    "aria-invalid": problem ? ("true" as const) : undefined,
  };
  if (field.kind === "number" || field.kind === "integer") {
    return (
      <input
        {...shared}
        type="text"
        inputMode={field.kind === "integer" ? "numeric" : "decimal"}
        autocomplete="off"
        spellcheck={false}
        class="number"
        placeholder={describeValue(standard, { ...field, unit: "" })}
        value={draft === undefined ? formatValue(standard) : formatValue(draft)}
        onInput={(event) => onInput(event.currentTarget.value)}
        onBlur={onLeave}
      />
    );
  }
  if (field.kind === "list") {
    const chosen = (values[field.name] ?? []) as string[];
    const shown = Array.isArray(draft) ? draft : chosen;
    return (
      <fieldset
        class="new-job-fieldset new-job-radios"
        aria-labelledby={`${id}-label`}
        aria-describedby={`${id}-hint ${id}-problem`}
      >
        {field.options.map((option, index) => (
          <label key={option} class="new-job-check">
            <input
              type="checkbox"
              id={index === 0 ? id : undefined}
              checked={shown.includes(option)}
              aria-invalid={shared["aria-invalid"]}
              onChange={(event) => {
                const wanted = event.currentTarget.checked;
                onInput(field.options.filter((each) => (each === option ? wanted : shown.includes(each))));
              }}
            />
            <code>{option}</code>
          </label>
        ))}
      </fieldset>
    );
  }
  const options: ConfigValue[] = field.kind === "boolean" ? [true, false] : field.options;
  const all = field.isNullable ? [null, ...options] : options;
  const current = draft === undefined ? standard : draft;
  return (
    <select
      {...shared}
      value={String(all.findIndex((each) => isSame(each, current)))}
      onChange={(event) => {
        const value = all[Number(event.currentTarget.value)];
        onInput(isSame(value, standard) ? undefined : (value ?? null));
      }}
    >
      {all.map((each, index) => (
        <option key={String(each)} value={String(index)}>
          {describeValue(each, field)}
        </option>
      ))}
    </select>
  );
}
