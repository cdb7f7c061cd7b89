// Shows the emotion of the token under the pointer next to the examples; screen readers announce it as the arrow keys
// move.

import type { PreviewExample } from "../../api/types";
import { describeFeelings, findHue, formatStrength, listFeelings, listPoles, type Pole } from "../../lib/emotion";
import { nameToken } from "./chat-turns";
import type { EmotionSpan } from "./model-view";

export interface Pointed {
  example: PreviewExample;
  index: number;
}

/** If there are more axes than this, only the axes on which the token has a value are listed. */
const MAX_LISTED = 12;

export function TokenDetails({
  axes,
  pointed,
  emotionSpan,
}: {
  axes: string[];
  pointed: Pointed | null;
  emotionSpan: EmotionSpan;
}) {
  const token = pointed?.example.tokens[pointed.index];
  const poles = listPoles(axes);
  const vector = token?.emotion ?? axes.map(() => 0);
  const listed = axes.map((_, axis) => axis).filter((axis) => axes.length <= MAX_LISTED || vector[axis]);
  return (
    <div class="dataset-details">
      <h3>Token</h3>
      <div aria-live="polite" class="dataset-details-text">
        {pointed && token ? (
          <>
            <p>
              <code>{nameToken(token.text)}</code>
            </p>
            <p class="soft number">
              id {token.id} · token {pointed.index + 1} of line {pointed.example.line} ·{" "}
              {token.is_target ? "learned" : "masked"}
            </p>
            <p>{describeFeelings(listFeelings(axes, token.emotion))}</p>
          </>
        ) : (
          <p class="soft">Point at a token, or move into an example with Tab and use the arrow keys.</p>
        )}
      </div>
      <ul class="dataset-vector" aria-hidden="true">
        {listed.map((axis) => (
          <VectorRow
            key={axis}
            poles={[poles[2 * axis] as Pole, poles[2 * axis + 1] as Pole]}
            value={vector[axis] ?? 0}
          />
        ))}
      </ul>
      {emotionSpan === "lead" && (
        <p class="hint dataset-span">With “lead”, each position carries the emotion of the next token.</p>
      )}
    </div>
  );
}

function VectorRow({ poles: [negative, positive], value }: { poles: [Pole, Pole]; value: number }) {
  const pole = value < 0 ? negative : positive;
  const width = `${Math.min(Math.abs(value), 1) * 50}%`;
  return (
    <li>
      <span class={value < 0 ? "" : "soft"}>{negative.name}</span>
      <span class="line emotion-hue" style={{ "--pole-hue": findHue(pole) }}>
        {value !== 0 && <span class="bar" style={value < 0 ? { right: "50%", width } : { left: "50%", width }} />}
      </span>
      <span class={value > 0 ? "" : "soft"}>{positive.name}</span>
      <span class="number">{value === 0 ? "" : formatStrength(value)}</span>
    </li>
  );
}
