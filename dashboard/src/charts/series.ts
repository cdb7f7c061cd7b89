// The types of a chart: the series that it draws, its options, and the methods of its plot.

import type { Zoom } from "./zoom";

export interface CurveSeries {
  label: string;
  /** The x values ascend; each series may have its own. */
  x: readonly number[];
  /** As many values as `x`; null if there is no value, and the line continues past it. */
  y: readonly (number | null)[];
  /** A token of the palette, such as `--series-1`. */
  color: string;
  width?: number;
  dash?: number[];
  /** Drawn faintly behind the other lines, as raw values behind the smoothed ones. */
  faint?: boolean;
  /** Drawn, but mentioned neither in the legend nor in the description. */
  unlisted?: boolean;
  /** Draws a dot at each point, for series with few points. */
  points?: boolean;
}

export type XKind = "step" | "time";

export interface PlotOptions {
  xKind: XKind;
  xLabel: string;
  formatY: (value: number) => string;
  logY: boolean;
  syncKey: string | null;
  /** The part that is visible at first. */
  zoom: Zoom;
  /** Called with the x under the crosshair; with null when the crosshair has left. */
  onCursor: (x: number | null) => void;
  onZoom: (zoom: Zoom) => void;
}

export interface Plot {
  setSeries: (series: readonly CurveSeries[]) => void;
  setSize: (width: number, height: number) => void;
  setZoom: (zoom: Zoom) => void;
  /** Puts the crosshair at an x. */
  point: (x: number) => void;
  destroy: () => void;
}
