// The small charts: one for each measure that has values, in a unit that keeps its numbers short.

import type { CurveSeries } from "../../../charts/series";
import { type CurveName, hasValues, type JobCurves } from "../../../lib/curves";
import { formatCount, formatNumber } from "../../../lib/format";
import { smooth } from "../../../lib/smoothing";

export interface Measure {
  name: string;
  series: CurveSeries[];
  formatY: (value: number) => string;
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

type Line = readonly [column: CurveName, label: string, color: string];

const LEARNING_RATES: Line[] = [
  ["lora_learning_rate", "adapter", "--series-1"],
  ["emotion_learning_rate", "emotion", "--series-2"],
];
const MEMORIES: Line[] = [
  ["memory_bytes", "run's peak", "--series-5"],
  ["gpu_memory_used_bytes", "GPU", "--series-3"],
];
/** These values change a lot from step to step, so a smoothed line lies in front of them. */
const RESTLESS: (readonly [column: CurveName, name: string, color: string, format: (value: number) => string])[] = [
  ["tokens_per_second", "Tokens per second", "--series-3", formatCount],
  ["grad_norm", "Gradient norm", "--series-4", (value) => formatNumber(value, 3)],
  ["gpu_utilization_percent", "GPU utilisation", "--series-6", (value) => `${formatNumber(value, 3)} %`],
  ["gpu_temperature_celsius", "GPU temperature", "--series-2", (value) => `${formatNumber(value, 3)} °C`],
  ["gpu_power_watts", "GPU power", "--series-7", (value) => `${formatNumber(value, 3)} W`],
];

/** Formats a rate as `1.04e-4`, because rates span powers of ten. */
function formatRate(value: number): string {
  return value === 0 ? "0" : String(Number(value.toPrecision(3)).toExponential());
}

/** `weight` is the weight of lib/smoothing.ts. */
export function listMeasures(curves: JobCurves, x: number[], weight: number): Measure[] {
  const take = (lines: Line[]): CurveSeries[] =>
    lines
      .filter(([column]) => hasValues(curves.values[column]))
      .map(([column, label, color]) => ({ label, color, x, y: curves.values[column], width: 1.5 }));
  const restless = RESTLESS.filter(([column]) => hasValues(curves.values[column])).map(
    ([column, name, color, formatY]): Measure => {
      const y = curves.values[column];
      const raw = { label: "each step", x, y, color, width: 1, faint: true, unlisted: true };
      return { name, formatY, series: [raw, { label: name, x, y: smooth(y, weight), color, width: 1.75 }] };
    },
  );
  const rates = { name: "Learning rate", series: take(LEARNING_RATES), formatY: formatRate };
  const [speed, ...rest] = restless;
  const all = [rates, ...(speed ? [speed] : []), makeMemory(take(MEMORIES)), ...rest];
  return all.filter((measure) => measure.series.length > 0);
}

/** The whole axis has one unit, because rounded ticks such as 1.9 GiB would repeat. */
function makeMemory(series: CurveSeries[]): Measure {
  const highest = series.reduce((high, { y }) => y.reduce<number>((top, value) => Math.max(top, value ?? 0), high), 0);
  const [size, unit] = highest < GIB ? [MIB, "MiB"] : [GIB, "GiB"];
  return {
    name: "Memory",
    series: series.map((each) => ({ ...each, y: each.y.map((value) => (value === null ? null : value / size)) })),
    formatY: (value) => `${formatNumber(value, 3)} ${unit}`,
  };
}
