// The types of a chart: the series that it draws, its options, and what its plot can be asked to do.

import type { Zoom } from "./zoom";

export interface CurveSeries {
  label: string;
  /** Ascending; a series may have other places than its neighbours. */
  x: readonly number[];
  /** As many; null where there is nothing, and the line goes past it. */
  y: readonly (number | null)[];
  /** A token of the palette, such as `--series-1`. */
  color: string;
  width?: number;
  dash?: number[];
  /** Behind the others, as what has been smoothed. */
  faint?: boolean;
  /** Drawn, and told of neither in the legend nor in words. */
  unlisted?: boolean;
  /** A dot at each point, for series that have few. */
  points?: boolean;
}

export type XKind = "step" | "time";

export interface PlotOptions {
  xKind: XKind;
  xLabel: string;
  formatY: (value: number) => string;
  logY: boolean;
  syncKey: string | null;
  /** What part is seen at first. */
  zoom: Zoom;
  /** The x under the crosshair; null when it has left. */
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
