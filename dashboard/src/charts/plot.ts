// Wraps one uPlot: its options, its data at the screen's resolution, and its zoom. It is redrawn when the page changes,
// but never rebuilt for new points.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { onColorsChange, resolveColor } from "./colors";
import { downsample, type Points } from "./downsample";
import { makeAxes } from "./plot-axes";
import type { CurveSeries, Plot, PlotOptions } from "./series";
import { joinZoom } from "./zoom";

/** A drag over fewer pixels is a click, not a selection. */
const MIN_DRAG_PIXELS = 5;
/** The part of the points' range that stays free above and below them. */
const Y_MARGIN = 0.08;
const FAINT = 0.35;

/** Makes a plot. `series` fixes the number and the looks of the lines; `setSeries` may change only their points. */
export function makePlot(
  box: HTMLElement,
  series: readonly CurveSeries[],
  width: number,
  height: number,
  options: PlotOptions,
): Plot {
  let current = series;
  const key = options.syncKey === null ? null : `${options.syncKey}:${options.xKind}`;
  const zoomControl = joinZoom(key, options.zoom, (zoom) => {
    draw();
    options.onZoom(zoom);
  });

  const plot = new uPlot(
    {
      width,
      height,
      // The padding on the right leaves room for half of the last label.
      padding: [8, 22, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: (_, low, high) => widen(low, high) },
        y: options.logY
          ? { distr: 3, range: (_, low, high) => addFactor(low, high) }
          : { range: (_, low, high) => addMargin(low, high) },
      },
      axes: makeAxes(options),
      series: [{}, ...series.map((each) => makeSeries(each))],
      cursor: {
        y: false,
        // The smoothed line has the dot; the legend alone shows the raw values behind it.
        points: {
          size: (_, index) => (current[index - 1]?.faint ? 0 : 9),
          width: (_, index) => (current[index - 1]?.faint ? 0 : 2),
          stroke: () => resolveColor("--surface"),
          fill: (_, index) => resolveColor(current[index - 1]?.color ?? "--text"),
        },
        drag: { x: true, y: false, setScale: false, dist: MIN_DRAG_PIXELS },
        bind: {
          dblclick: () => () => {
            zoomControl.set(null);
            return null;
          },
        },
        ...(key === null ? {} : { sync: makeSync(key) }),
      },
      hooks: {
        setCursor: [
          (self) => {
            const left = self.cursor.left ?? -1;
            options.onCursor(left < 0 ? null : self.posToVal(left, "x"));
          },
        ],
        setSelect: [
          (self) => {
            const { left, width: selected } = self.select;
            if (selected < MIN_DRAG_PIXELS) return;
            const zoom = [self.posToVal(left, "x"), self.posToVal(left + selected, "x")] as const;
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            zoomControl.set(zoom);
          },
        ],
      },
    },
    [[]],
    box,
  );

  function draw(): void {
    const [from, to] = zoomControl.get() ?? findRange(current);
    const columns = Math.max(Math.round(plot.bbox.width / uPlot.pxRatio), 50);
    const tables = current.map((each): Points => {
      const y = options.logY ? each.y.map((value) => (value !== null && value > 0 ? value : null)) : each.y;
      return downsample(each.x, y, from, to, columns);
    });
    plot.batch(() => {
      plot.setData(join(tables), false);
      plot.setScale("x", { min: from, max: to });
    });
  }

  const endColors = onColorsChange(() => plot.redraw(true, true));
  draw();
  options.onZoom(zoomControl.get());
  return {
    setSeries: (next) => {
      current = next;
      draw();
    },
    setSize: (nextWidth, nextHeight) => {
      if (plot.width === nextWidth && plot.height === nextHeight) return;
      plot.setSize({ width: nextWidth, height: nextHeight });
      draw();
    },
    setZoom: zoomControl.set,
    point: (x) => plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 }),
    destroy: () => {
      zoomControl.leave();
      endColors();
      plot.destroy();
    },
  };
}

/**
 * Charts with the same key share the crosshair. They don't share selections, because each chart would then select a
 * part of the part that is already visible.
 */
function makeSync(key: string): uPlot.Cursor.Sync {
  const isShared = (type: string) => type === "mousemove" || type === "mouseleave";
  return { key, scales: ["x", null], setSeries: false, filters: { pub: isShared, sub: isShared } };
}

function makeSeries(series: CurveSeries): uPlot.Series {
  return {
    label: series.label,
    stroke: () => resolveColor(series.color),
    width: series.width ?? 1.75,
    alpha: series.faint ? FAINT : 1,
    points: { show: series.points || isAlone, size: 6, fill: () => resolveColor(series.color) },
    ...(series.dash ? { dash: series.dash } : {}),
  };
}

/** A single point makes no line, so it is shown as a dot. */
function isAlone(self: uPlot, index: number): boolean {
  let count = 0;
  for (const value of self.data[index] ?? []) {
    if (value !== null && value !== undefined && ++count > 1) return false;
  }
  return count === 1;
}

/**
 * Joins all series into one table. A series without a point at some x is undefined there, and its line continues past
 * it.
 */
function join(tables: Points[]): uPlot.AlignedData {
  const filled = tables.map((each) => [each.x, each.y] as uPlot.AlignedData);
  return filled.length ? uPlot.join(filled) : [[]];
}

/** Returns the first and the last x of all series. */
export function findRange(series: readonly CurveSeries[]): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { x } of series) {
    if (x.length === 0) continue;
    low = Math.min(low, x[0] as number);
    high = Math.max(high, x[x.length - 1] as number);
  }
  return low <= high ? [low, high] : [0, 1];
}

function widen(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  return low < high ? [low, high] : [low - 0.5, low + 0.5];
}

function addMargin(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const margin = (high - low) * Y_MARGIN || Math.abs(high) * Y_MARGIN || 1;
  // The axis of values that are never negative doesn't go below zero.
  return [low >= 0 ? Math.max(low - margin, 0) : low - margin, high + margin];
}

function addFactor(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [1, 10];
  const factor = low < high ? (high / low) ** Y_MARGIN : 2;
  return [low / factor, high * factor];
}
