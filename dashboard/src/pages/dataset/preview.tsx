// Shows examples token by token, as a training reads them, and the details of the token under the pointer.

import { useCallback, useEffect, useId, useRef, useState } from "preact/hooks";
import type { Dataset, PreviewExample } from "../../api/types";
import { findHue, listFeelings, listPoles, type Pole } from "../../lib/emotion";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { ExampleView } from "./example-view";
import type { EmotionSpan } from "./model-view";
import { type Pointed, TokenDetails } from "./token-details";
import { usePreview } from "./use-preview";

/** If there are more poles than this, the legend lists only those that occur in the shown examples. */
const MAX_LEGEND = 16;

export function PreviewCard({
  dataset,
  baseModel,
  maxLength,
  emotionSpan,
  jump,
}: {
  dataset: Dataset;
  baseModel: string;
  maxLength: number;
  emotionSpan: EmotionSpan;
  jump: { line: number } | null;
}) {
  const section = useRef<HTMLElement>(null);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const { items, nextOffset, error, isLoading, firstLine, loadMore, goTo } = usePreview({
    datasetId: dataset.id,
    exampleCount: dataset.example_count,
    baseModel,
    maxLength,
    emotionSpan,
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: a jump happens once, not again when the model changes
  useEffect(() => {
    if (!jump) return;
    goTo(jump.line);
    section.current?.scrollIntoView({ block: "start" });
    section.current?.focus({ preventScroll: true });
  }, [jump]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the token under the pointer is gone when other examples are shown
  useEffect(() => setPointed(null), [baseModel, maxLength, emotionSpan, firstLine]);
  const point = useCallback((example: PreviewExample, index: number) => setPointed({ example, index }), []);

  return (
    <section class="card dataset-preview" ref={section} tabIndex={-1} aria-labelledby="preview-title">
      <div class="card-head">
        <h2 id="preview-title">Examples, token by token</h2>
        <LineForm firstLine={firstLine} onGo={goTo} />
      </div>
      <div class="card-body dataset-preview-body">
        <div class="stack dataset-examples" aria-busy={isLoading}>
          {error && (
            <ErrorBox error={error}>
              <button type="button" class="small dataset-retry" onClick={() => goTo(firstLine)}>
                Try again
              </button>
            </ErrorBox>
          )}
          {!isLoading && firstLine !== null && items[0] && items[0].line !== firstLine && (
            <p class="soft">
              {items[0].line > firstLine
                ? `Line ${firstLine} has no example: it is blank or was left out. The next example follows.`
                : `The last example is before line ${firstLine}.`}
            </p>
          )}
          {items.length === 0 && isLoading && <Skeleton lines={12} />}
          {items.map((example) => (
            <ExampleView
              key={`${example.line}-${baseModel}-${maxLength}-${emotionSpan}`}
              axes={dataset.axes}
              example={example}
              maxLength={maxLength}
              onPoint={point}
            />
          ))}
          {typeof nextOffset === "number" ? (
            <div class="row">
              <button type="button" disabled={isLoading} onClick={loadMore}>
                {isLoading ? "Loading …" : "Show more"}
              </button>
              {isLoading && <span class="soft">Long datasets take a moment.</span>}
            </div>
          ) : (
            items.length > 0 && <p class="soft">This is the last example.</p>
          )}
        </div>
        <aside class="dataset-side" aria-label="Details and legend">
          <TokenDetails axes={dataset.axes} pointed={pointed} emotionSpan={emotionSpan} />
          <Legend axes={dataset.axes} examples={items} />
        </aside>
      </div>
    </section>
  );
}

function LineForm({ firstLine, onGo }: { firstLine: number | null; onGo: (line: number | null) => void }) {
  const inputId = useId();
  const [text, setText] = useState("");
  useEffect(() => setText(firstLine === null ? "" : String(firstLine)), [firstLine]);
  return (
    <form
      class="row dataset-line-form"
      onSubmit={(event) => {
        event.preventDefault();
        const line = Number(text);
        if (Number.isInteger(line) && line > 0) onGo(line);
      }}
    >
      <label for={inputId} class="soft">
        From line
      </label>
      <input
        id={inputId}
        type="number"
        min={1}
        step={1}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" disabled={text === ""}>
        Go
      </button>
      <button type="button" class="quiet" disabled={firstLine === null} onClick={() => onGo(null)}>
        From the beginning
      </button>
    </form>
  );
}

function Legend({ axes, examples }: { axes: string[]; examples: PreviewExample[] }) {
  const all = listPoles(axes);
  const poles = all.length <= MAX_LEGEND ? all : all.filter((pole) => occurs(pole, axes, examples));
  return (
    <div class="dataset-legend">
      <h3>Legend</h3>
      <ul>
        {poles.map((pole) => (
          <li key={pole.name}>
            <span
              class={`emotion-swatch emotion-hue ${pole.sign < 0 ? "negative" : ""}`}
              style={{ "--pole-hue": findHue(pole) }}
            >
              {pole.name}
            </span>
          </li>
        ))}
      </ul>
      <p class="hint">
        The strongest pole colours a token; the stronger it is, the deeper the colour. A dotted line marks a negative
        pole. Grey text without a line is masked: the model reads it but doesn't learn it.
      </p>
    </div>
  );
}

function occurs(pole: Pole, axes: string[], examples: PreviewExample[]): boolean {
  return examples.some((example) =>
    example.tokens.some((token) => {
      const strongest = listFeelings(axes, token.emotion)[0];
      return strongest?.axis === pole.axis && strongest.sign === pole.sign;
    }),
  );
}
