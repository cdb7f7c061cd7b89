// Chooses the base model whose tokens are shown, and how long examples may be. Both are kept in the page's address.

import { useCallback, useEffect, useState } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { BaseModel, Items } from "../../api/types";
import { navigate, type Route } from "../../router";
import { Notice } from "../../ui/feedback";

export type EmotionSpan = "lead" | "token";

export interface View {
  models: BaseModel[] | undefined;
  baseModel: string | null;
  maxLength: number;
  emotionSpan: EmotionSpan;
  change: (values: { model?: string; length?: string; span?: EmotionSpan }) => void;
}

/** The default of a job's config. */
const DEFAULT_MAX_LENGTH = 256;
const MIN_LENGTH = 8;
const MAX_LENGTH = 131_072;
/** The storage key of the model that was chosen last, for the next dataset. */
const STORED = "emotune-dataset-model";

export function useModelView(datasetId: string, route: Route): View {
  const { data } = usePoll<Items<BaseModel>>("/models", 0);
  const models = data?.items;
  const asked = route.query.get("model") ?? window.localStorage.getItem(STORED);
  const available = (models ?? []).filter((model) => model.is_available);
  // Without a choice, the smallest model is used: models of one family have the same tokens.
  const smallest = [...available].sort((a, b) => (a.size_bytes ?? Infinity) - (b.size_bytes ?? Infinity))[0];
  const found = available.find((model) => model.name === asked) ?? smallest;
  const length = Number(route.query.get("length"));
  const query = route.query.toString();
  const change = useCallback(
    (values: { model?: string; length?: string; span?: EmotionSpan }) => {
      if (values.model) window.localStorage.setItem(STORED, values.model);
      const kept = Object.fromEntries(new URLSearchParams(query));
      navigate(`/datasets/${datasetId}`, { ...kept, ...values }, { replace: true });
    },
    [datasetId, query],
  );
  return {
    models,
    baseModel: found?.name ?? null,
    maxLength: isLength(length) ? length : DEFAULT_MAX_LENGTH,
    emotionSpan: route.query.get("span") === "token" ? "token" : "lead",
    change,
  };
}

function isLength(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_LENGTH && value <= MAX_LENGTH;
}

export function ModelView({ view }: { view: View }) {
  if (view.models && !view.baseModel) {
    return (
      <Notice kind="info">
        <p>
          There is no base model on this machine, so the dataset can't be shown in tokens. The operator sets
          EMOTUNE_BASE_MODELS.
        </p>
      </Notice>
    );
  }
  return (
    <section class="card">
      <h2>As a base model reads it</h2>
      <div class="card-body dataset-view">
        <label class="field">
          <span class="field-name">Base model</span>
          <select value={view.baseModel ?? ""} onChange={(event) => view.change({ model: event.currentTarget.value })}>
            {(view.models ?? []).map((model) => (
              <option key={model.name} value={model.name} disabled={!model.is_available}>
                {model.name}
                {model.is_available ? "" : " (files not found)"}
              </option>
            ))}
          </select>
        </label>
        <LengthField view={view} />
        <label class="field">
          <span class="field-name">Emotion span</span>
          <select
            value={view.emotionSpan}
            onChange={(event) => view.change({ span: event.currentTarget.value as EmotionSpan })}
          >
            <option value="lead">lead: emotion of the next token</option>
            <option value="token">token: emotion of the token itself</option>
          </select>
        </label>
      </div>
    </section>
  );
}

function LengthField({ view }: { view: View }) {
  const [text, setText] = useState(String(view.maxLength));
  useEffect(() => setText(String(view.maxLength)), [view.maxLength]);
  const isValid = isLength(Number(text));
  return (
    <label class="field">
      <span class="field-name">Longest example, in tokens</span>
      <input
        type="number"
        min={MIN_LENGTH}
        max={MAX_LENGTH}
        step={1}
        value={text}
        aria-invalid={isValid ? undefined : "true"}
        title={`A whole number from ${MIN_LENGTH} to ${MAX_LENGTH}; longer examples are cut off`}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => {
          const value = event.currentTarget.value;
          if (isLength(Number(value))) view.change({ length: value });
        }}
      />
    </label>
  );
}
