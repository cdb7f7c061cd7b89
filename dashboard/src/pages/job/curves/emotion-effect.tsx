// Explains how much the emotion helps the model: it compares the loss on held-out replies with and without their
// emotion.

import type { JobCurves } from "../../../lib/curves";
import { formatNumber, formatShare } from "../../../lib/format";

export function Emotion({ curves }: { curves: JobCurves }) {
  const { eval_loss, eval_neutral_loss } = curves.values;
  const index = eval_loss.findLastIndex((value, place) => value !== null && eval_neutral_loss[place] !== null);
  const own = eval_loss[index];
  const neutral = eval_neutral_loss[index];
  if (own === undefined || own === null || neutral === undefined || neutral === null) return null;
  const gain = neutral - own;
  return (
    <p class="job-emotion">
      <strong>Effect of the emotion: {formatNumber(gain, 3)} nats per token.</strong>{" "}
      {gain > 0
        ? `On replies that it was not trained on, the model predicts each token better with the reply's own emotion (loss ${formatNumber(own)}) than with none (${formatNumber(neutral)}): ${formatShare(Math.expm1(gain)).replace(" ", "\u00a0")} more likely, on average.`
        : `On replies that it was not trained on, the model predicts no better with the reply's own emotion (loss ${formatNumber(own)}) than with none (${formatNumber(neutral)}): it has not learned to use the emotion yet.`}
    </p>
  );
}
