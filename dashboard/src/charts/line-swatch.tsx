// Draws a short piece of a curve's line. It stands next to the curve's name, so that the name can be matched to the
// line.

import type { CurveSeries } from "./series";
import "./line-swatch.css";

/** What distinguishes a curve from the others. */
export type LineLook = Pick<CurveSeries, "color" | "width" | "dash" | "faint" | "points">;

const LENGTH_PIXELS = 16;
const HEIGHT_PIXELS = 10;
/** On a line as short as this, a thinner or fainter line would not be visible. */
const MIN_WIDTH_PIXELS = 2;
const FAINT = 0.45;

/** `length` is in pixels: a pattern of long dashes needs more of it to be recognised. */
export function LineSwatch({ look, length = LENGTH_PIXELS }: { look: LineLook; length?: number }) {
  const middle = HEIGHT_PIXELS / 2;
  return (
    <svg
      class="line-swatch"
      width={length}
      height={HEIGHT_PIXELS}
      viewBox={`0 0 ${length} ${HEIGHT_PIXELS}`}
      aria-hidden="true"
    >
      <line
        x1="0"
        x2={length}
        y1={middle}
        y2={middle}
        style={{ stroke: `var(${look.color})`, opacity: look.faint ? FAINT : 1 }}
        stroke-width={Math.max(look.width ?? MIN_WIDTH_PIXELS, MIN_WIDTH_PIXELS)}
        stroke-dasharray={look.dash?.join(" ")}
      />
      {look.points && <circle cx={length / 2} cy={middle} r="3.5" style={{ fill: `var(${look.color})` }} />}
    </svg>
  );
}
