// A chart of curves with a crosshair, a legend of the values at it, and a zoom by mouse and by keyboard.

import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ChartTable, describeSeries } from "./chart-text";
import { findNearest } from "./downsample";
import { LineSwatch } from "./line-swatch";
import { findRange, makePlot } from "./plot";
import { formatX } from "./plot-axes";
import type { CurveSeries, Plot, XKind } from "./series";
import type { Zoom } from "./zoom";
import "./curve-chart.css";

export interface CurveChartProps {
  series: readonly CurveSeries[];
  xKind: XKind;
  xLabel: string;
  /** The label above the plot; empty for none. */
  yLabel: string;
  /** Formats a value with its unit, for the legend and the axis. */
  formatY: (value: number) => string;
  logY?: boolean;
  /** The height of the plot, in pixels. */
  height: number;
  ariaLabel: string;
  /** Charts with the same key share one crosshair and one zoom. */
  syncKey?: string;
}

const KEY_ZOOM = 0.5;
const SMALL_PIXELS = 240;

export function CurveChart(props: CurveChartProps) {
  const { series, xKind, xLabel, yLabel, formatY, logY = false, height, ariaLabel, syncKey = null } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [zoom, setZoom] = useState<Zoom>(null);
  const [spoken, setSpoken] = useState("");
  const helpId = useId();
  // A plot that replaces another one, for example with another axis, shows the same part.
  const kept = useRef<{ xKind: XKind; zoom: Zoom } | null>(null);
  const formatRef = useRef(formatY);
  formatRef.current = formatY;

  // A plot has to be made again when one of these changes; new points can be added to it.
  const looks = JSON.stringify(series.map(({ x: _x, y: _y, ...look }) => look));
  // biome-ignore lint/correctness/useExhaustiveDependencies: `looks` stands for the series; their points are set below
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = makePlot(element, series, element.clientWidth || 300, height, {
      xKind,
      xLabel,
      formatY: (value) => formatRef.current(value),
      logY,
      syncKey,
      zoom: kept.current?.xKind === xKind ? kept.current.zoom : null,
      onCursor: setCursor,
      onZoom: (next) => {
        kept.current = { xKind, zoom: next };
        setZoom(next);
      },
    });
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(element.clientWidth, height));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [looks, xKind, xLabel, logY, height, syncKey]);

  // A chart that is scrolled out of view draws its new points when it becomes visible again.
  const latest = useRef(series);
  const isSeen = useRef(true);
  // This is set at once, because the observer may call between the making of a plot for other series and the effect
  // below.
  useLayoutEffect(() => {
    latest.current = series;
  }, [series]);
  useEffect(() => {
    if (isSeen.current) plot.current?.setSeries(series);
  }, [series]);
  useEffect(() => {
    if (!box.current) return;
    const observer = new IntersectionObserver((entries) => {
      isSeen.current = entries.at(-1)?.isIntersecting ?? true;
      if (isSeen.current) plot.current?.setSeries(latest.current);
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  function onKeyDown(event: KeyboardEvent): void {
    const next = findKeyZoom(event.key, zoom ?? findRange(series), cursor);
    const to = findKeyPlace(event.key, series, cursor, zoom);
    if (next === undefined && to === undefined) return;
    event.preventDefault();
    if (next !== undefined) plot.current?.setZoom(next);
    if (to === undefined) return;
    plot.current?.point(to);
    setSpoken(`${xLabel} ${formatX(xKind, to)}: ${listed.map((each) => readOut(each, to, formatY)).join(", ")}`);
  }

  // Small charts that share a zoom leave the button to the large chart: it would hide half of a small one.
  const hasReset = syncKey === null || height >= SMALL_PIXELS;
  const listed = series.filter((each) => !each.unlisted);
  const isEmpty = series.every((each) => each.x.length === 0);
  return (
    <figure class={`curve-chart ${yLabel ? "named" : ""}`}>
      <figcaption>
        {yLabel && <span class="curve-chart-name">{yLabel}</span>}
        <ul class="curve-chart-legend">
          {listed.map((each) => (
            <li key={each.label}>
              <LineSwatch look={each} />
              {(listed.length > 1 || each.label !== yLabel) && <span>{each.label}</span>}
              <b>{formatAt(each, cursor, formatY)}</b>
            </li>
          ))}
        </ul>
        <span class="curve-chart-place">
          {cursor === null ? "" : `${xLabel} ${formatX(xKind, snap(series, cursor))}`}
        </span>
      </figcaption>
      <div class="curve-chart-area">
        {/* biome-ignore lint/a11y/useSemanticElements: there is no element for a chart with keyboard control */}
        <div
          ref={box}
          class="curve-chart-box"
          style={{ height: `${height}px` }}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move the crosshair
          tabIndex={0}
          role="group"
          aria-roledescription="chart"
          aria-label={ariaLabel}
          aria-describedby={helpId}
          onKeyDown={onKeyDown}
        >
          {isEmpty && <p class="curve-chart-empty">No points yet</p>}
        </div>
        {zoom !== null && hasReset && (
          <button type="button" class="small curve-chart-reset" onClick={() => plot.current?.setZoom(null)}>
            Reset zoom
          </button>
        )}
      </div>
      <p class="hidden-text" id={helpId}>
        {listed.map((each) => describeSeries(each, formatY)).join(" ")} The left and right arrow keys move the
        crosshair, plus and minus zoom, zero shows all.
      </p>
      <p class="hidden-text" aria-live="polite">
        {spoken}
      </p>
      <ChartTable series={listed} xKind={xKind} xLabel={xLabel} formatY={formatY} />
    </figure>
  );
}

/**
 * The value at the crosshair, or the last one. A series that ends before the crosshair or begins after it has no value
 * there.
 */
function formatAt(series: CurveSeries, cursor: number | null, formatY: (value: number) => string): string {
  const value = cursor === null ? findLast(series) : findValue(series, cursor);
  return value === null ? "–" : formatY(value);
}

function readOut(series: CurveSeries, x: number, formatY: (value: number) => string): string {
  return `${series.label} ${formatAt(series, x, formatY)}`;
}

function findLast({ y }: CurveSeries): number | null {
  for (let index = y.length - 1; index >= 0; index--) {
    const value = y[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function findValue({ x, y }: CurveSeries, cursor: number): number | null {
  const nearest = findNearest(x, cursor);
  if (nearest < 0) return null;
  // A series still shows its last value up to half the distance between its points behind its end.
  const reach = x.length > 1 ? ((x[x.length - 1] as number) - (x[0] as number)) / (x.length - 1) : 1;
  if (Math.abs((x[nearest] as number) - cursor) > Math.max(reach, 1)) return null;
  return y[nearest] ?? null;
}

/** The x that the crosshair snaps to: the nearest point of the first series that has points. */
function snap(series: readonly CurveSeries[], cursor: number): number {
  const first = series.find((each) => each.x.length > 0);
  return first ? (first.x[findNearest(first.x, cursor)] as number) : cursor;
}

/** The zoom that a key asks for; undefined for other keys. */
function findKeyZoom(key: string, [low, high]: readonly [number, number], cursor: number | null): Zoom | undefined {
  if (key === "0" || key === "Escape") return null;
  if (key !== "+" && key !== "=" && key !== "-") return undefined;
  const factor = key === "-" ? 1 / KEY_ZOOM : KEY_ZOOM;
  const middle = cursor ?? (low + high) / 2;
  return [middle - (middle - low) * factor, middle + (high - middle) * factor];
}

/** The x to which a key moves the crosshair; undefined for other keys. */
function findKeyPlace(
  key: string,
  series: readonly CurveSeries[],
  cursor: number | null,
  zoom: Zoom,
): number | undefined {
  const x = series.find((each) => each.x.length > 0)?.x;
  if (!x) return undefined;
  const [low, high] = zoom ?? findRange(series);
  if (key === "Home") return x[findNearest(x, low)];
  if (key === "End") return x[findNearest(x, high)];
  const way = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  if (!way) return undefined;
  if (cursor === null) return x[findNearest(x, way > 0 ? low : high)];
  // One step is a hundredth of the visible part, and at least one point.
  const here = findNearest(x, cursor);
  const far = findNearest(x, cursor + (way * (high - low)) / 100);
  return x[Math.min(Math.max(far === here ? here + way : far, 0), x.length - 1)];
}
