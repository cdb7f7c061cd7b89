// Chooses the base model, and the preset that the settings start from.

import { useEffect } from "preact/hooks";
import type { ApiError } from "../../api/client";
import type { BaseModel } from "../../api/types";
import { countOf, formatBytes } from "../../lib/format";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { fieldId } from "./config/config-field";
import { useForm } from "./form-context";
import type { Preset } from "./job-form";
import "./model-section.css";

export function ModelSection({ models, error }: { models: BaseModel[] | undefined; error: ApiError | undefined }) {
  const { form, change, getProblem, original } = useForm();
  const problem = getProblem("base_model");
  const available = models?.filter((model) => model.is_available);
  const only = available?.length === 1 ? available[0]?.name : undefined;
  // With a single model, there is nothing to choose.
  useEffect(() => {
    if (only && !form.baseModel && !original) change({ baseModel: only });
  }, [only, form.baseModel, original, change]);
  const isUnlisted = form.baseModel !== "" && models?.every((model) => model.name !== form.baseModel);
  const id = fieldId("base_model");

  return (
    <section class="card">
      <h2 id={`${id}-label`}>Base model</h2>
      <div class="card-body stack">
        {error && !models && <ErrorBox error={error} />}
        {!models && !error && <Skeleton lines={2} />}
        {models?.length === 0 && <p class="hint">The operator has listed no base model yet (EMOTUNE_BASE_MODELS).</p>}
        <div
          class="new-job-cards"
          role="radiogroup"
          aria-labelledby={`${id}-label`}
          aria-invalid={problem ? "true" : undefined}
          aria-describedby={`${id}-problem`}
        >
          {models?.map((model) => (
            <label key={model.name} class={`new-job-card${model.is_available ? "" : " is-off"}`}>
              <input
                type="radio"
                name="base_model"
                checked={form.baseModel === model.name}
                disabled={!model.is_available}
                onChange={() => change({ baseModel: model.name })}
              />
              <span class="new-job-card-text">
                <strong>{model.name}</strong>
                <small class="soft">
                  {model.is_available
                    ? model.size_bytes === null
                      ? "size not known: not on this machine's disk"
                      : `${formatBytes(model.size_bytes)} of weights`
                    : "not available: its files were not found. Ask the operator."}
                </small>
              </span>
            </label>
          ))}
        </div>
        <p id={`${id}-problem`} class="problem">
          {problem || (isUnlisted ? `${form.baseModel} is no longer on the operator's list. Choose another.` : "")}
        </p>
      </div>
    </section>
  );
}

export function PresetSection({ presets, touchedCount }: { presets: Preset[]; touchedCount: number }) {
  const { form, change } = useForm();
  return (
    <section class="card">
      <div class="card-head">
        <h2 id="new-job-preset-label">Preset</h2>
        <small class="soft">
          {touchedCount
            ? `Your ${countOf(touchedCount, "change")} stay${touchedCount === 1 ? "s" : ""} when you choose another.`
            : ""}
        </small>
      </div>
      <div class="card-body">
        <div class="new-job-cards" role="radiogroup" aria-labelledby="new-job-preset-label">
          {presets.map((preset) => (
            <label key={preset.name} class="new-job-card">
              <input
                type="radio"
                name="preset"
                checked={form.preset === preset.name}
                onChange={() => change({ preset: preset.name })}
              />
              <span class="new-job-card-text">
                <strong>{preset.name}</strong>
                <small class="soft">{preset.description}</small>
              </span>
            </label>
          ))}
        </div>
      </div>
    </section>
  );
}
