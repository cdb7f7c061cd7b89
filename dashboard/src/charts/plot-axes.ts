// Makes the axes of a curve: whole steps or round times at the bottom, values with their unit at the left.

import uPlot from "uplot";
import { formatCount, formatSeconds } from "../lib/format";
import { resolveColor } from "./colors";
import type { PlotOptions, XKind } from "./series";
import { listLogTicks } from "./ticks";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const X_SPACE = { step: 56, time: 72 };
const Y_SPACE = 34;
const Y_MIN_SIZE = 52;
const TICK_GAP = 12;

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SECOND_STEPS = [
  ...[0.1, 0.5, 1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((each) => each * MINUTE),
  ...[1, 2, 3, 6, 12].map((each) => each * HOUR),
  ...[1, 2, 5, 10, 20, 50].map((each) => each * DAY),
];
const WHOLE_STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((each) => each * 10 ** power)).flat();

export function formatX(kind: XKind, value: number): string {
  return kind === "time" ? formatSeconds(value) : formatCount(value);
}

export function makeAxes({ xKind: kind, xLabel, formatY, logY }: PlotOptions): uPlot.Axis[] {
  const look: uPlot.Axis = {
    stroke: () => resolveColor("--text-soft"),
    font: FONT,
    labelFont: FONT,
    grid: { stroke: () => resolveColor("--line"), width: 1 },
    ticks: { stroke: () => resolveColor("--line"), width: 1, size: 4 },
  };
  return [
    {
      ...look,
      space: X_SPACE[kind],
      size: 30,
      label: xLabel,
      labelSize: 18,
      labelGap: 0,
      incrs: kind === "time" ? SECOND_STEPS : WHOLE_STEPS,
      values: (_, splits) => splits.map((each) => (each === 0 && kind === "time" ? "0" : formatX(kind, each))),
    },
    {
      ...look,
      space: Y_SPACE,
      ...(logY
        ? {
            splits: (self: uPlot, _: number, low: number, high: number) =>
              listLogTicks(low, high, Math.max(self.bbox.height / uPlot.pxRatio / Y_SPACE, 2)),
            filter: (_: uPlot, splits: number[]) => splits,
            grid: { ...look.grid, filter: (_: uPlot, splits: number[]) => splits },
            ticks: { ...look.ticks, filter: (_: uPlot, splits: number[]) => splits },
          }
        : {}),
      values: (_, splits) => splits.map((each) => (each === null ? "" : formatY(each))),
      size: (self, values) => {
        // The axis has room for the longest label, and a minimum size, so that charts above each other line up.
        self.ctx.save();
        self.ctx.font = FONT;
        const widest = Math.max(0, ...(values ?? []).map((each) => self.ctx.measureText(each ?? "").width));
        self.ctx.restore();
        return Math.max(Y_MIN_SIZE, Math.ceil(widest) + TICK_GAP);
      },
    },
  ];
}
