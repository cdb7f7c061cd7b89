// Shows one example turn by turn, with each token in the colour of its emotion.

import { memo } from "preact/compat";
import { useMemo, useRef } from "preact/hooks";
import type { PreviewExample } from "../../api/types";
import type { PreviewToken } from "../../datasets/report-types";
import { findHue, listFeelings } from "../../lib/emotion";
import { countOf, formatCount } from "../../lib/format";
import { Notice } from "../../ui/feedback";
import { makeVisible, type ShownToken, splitTurns, type Turn } from "./chat-turns";

interface Props {
  axes: string[];
  example: PreviewExample;
  maxLength: number;
  onPoint: (example: PreviewExample, index: number) => void;
}

/** The example is drawn once: pointing at a token changes nothing but a class. */
export const ExampleView = memo(function ExampleView({ axes, example, maxLength, onPoint }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const at = useRef(-1);
  const turns = useMemo(() => splitTurns(example.tokens), [example]);
  const learnedCount = example.tokens.filter((token) => token.is_target).length;

  function point(index: number, isByKey: boolean): void {
    const tokens = box.current;
    if (!tokens || index < 0 || index >= example.tokens.length) return;
    for (const each of document.querySelectorAll(".dataset-token.pointed")) each.classList.remove("pointed");
    const element = tokens.querySelector(`[data-index="${index}"]`);
    element?.classList.add("pointed");
    if (isByKey) element?.scrollIntoView({ block: "nearest" });
    at.current = index;
    onPoint(example, index);
  }

  function move(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowRight: at.current + 1,
      ArrowLeft: at.current - 1,
      ArrowDown: at.current + 10,
      ArrowUp: at.current - 10,
      Home: 0,
      End: example.tokens.length - 1,
    };
    const to = steps[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    point(Math.min(Math.max(to, 0), example.tokens.length - 1), true);
  }

  function look(event: MouseEvent): void {
    const found = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
    if (found) point(Number(found.dataset.index), false);
  }

  return (
    <article class="dataset-example">
      <header class="row">
        <h3>Line {formatCount(example.line)}</h3>
        {example.error === null && (
          <span class="soft number">
            {countOf(example.tokens.length, "token")}, {formatCount(learnedCount)} learned
          </span>
        )}
        {example.is_truncated && (
          <span class="badge warn">
            cut at {formatCount(maxLength)} of {formatCount(example.whole_token_count)} tokens
          </span>
        )}
        {example.is_dropped && <span class="badge bad">left out: no reply within {formatCount(maxLength)} tokens</span>}
      </header>
      {example.error !== null ? (
        <Notice kind="failed">
          <p>A job would fail here: {example.error}</p>
        </Notice>
      ) : (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
        <div
          ref={box}
          class="dataset-turns"
          role="group"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move from token to token in here
          tabIndex={0}
          aria-label={`Tokens of line ${example.line}: use the arrow keys to move between them`}
          onKeyDown={move}
          onFocus={() => at.current < 0 && point(0, false)}
          onMouseOver={look}
          onClick={look}
        >
          {turns.map((turn, index) => (
            <TurnView key={index} axes={axes} turn={turn} />
          ))}
          {example.cut_text !== "" && (
            <p class="dataset-cut">
              <strong>Cut off:</strong> {example.cut_text}
              {example.cut_text.length >= CUT_CHARACTERS && " …"}
            </p>
          )}
        </div>
      )}
    </article>
  );
});

/** The API returns at most this many characters of the text that is cut off (emomodel/insights/preview.py). */
const CUT_CHARACTERS = 200;
const ROLE_NAMES: Record<string, string> = { user: "User", model: "Model", system: "System" };

function TurnView({ axes, turn }: { axes: string[]; turn: Turn<PreviewToken> }) {
  return (
    <div class={`dataset-turn ${turn.role === "model" ? "model" : ""}`}>
      <span class="dataset-role">{turn.role ? (ROLE_NAMES[turn.role] ?? turn.role) : ""}</span>
      <p>
        {turn.tokens.map((shown) => (
          <TokenView key={shown.index} axes={axes} shown={shown} />
        ))}
      </p>
    </div>
  );
}

function TokenView({ axes, shown }: { axes: string[]; shown: ShownToken<PreviewToken> }) {
  const { token, index, isControl } = shown;
  const [strongest] = listFeelings(axes, token.emotion);
  const classes = ["dataset-token"];
  if (isControl) classes.push("control");
  if (!token.is_target) classes.push("masked");
  if (strongest) classes.push("emotion-token", "emotion-hue");
  if (strongest && strongest.sign < 0) classes.push("negative");
  return (
    <span
      class={classes.join(" ")}
      data-index={index}
      style={strongest ? { "--pole-hue": findHue(strongest), "--strength": strongest.strength } : undefined}
    >
      {makeVisible(token.text)}
    </span>
  );
}
