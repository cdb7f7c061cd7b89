// What is drawn small: each measure that has values, in a unit that its numbers are short in.

import type { CurveSeries } from "../../charts/curve-chart";
import { type CurveName, hasValues, type JobCurves } from "../../lib/curves";
import { formatCount, formatNumber } from "../../lib/format";

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
  ["memory_bytes", "training, peak", "--series-5"],
  ["gpu_memory_used_bytes", "GPU, all who use it", "--series-3"],
];

export function listMeasures(curves: JobCurves, x: number[]): Measure[] {
  const take = (lines: Line[]): CurveSeries[] =>
    lines
      .filter(([column]) => hasValues(curves.values[column]))
      .map(([column, label, color]) => ({ label, color, x, y: curves.values[column], width: 1.5 }));
  const all: Measure[] = [
    { name: "Learning rate", series: take(LEARNING_RATES), formatY: (value) => formatNumber(value, 3) },
    {
      name: "Tokens per second",
      series: take([["tokens_per_second", "Tokens per second", "--series-3"]]),
      formatY: formatCount,
    },
    {
      name: "Gradient norm",
      series: take([["grad_norm", "Gradient norm", "--series-4"]]),
      formatY: (value) => formatNumber(value, 3),
    },
    makeMemory(take(MEMORIES)),
    {
      name: "GPU utilisation",
      series: take([["gpu_utilization_percent", "GPU utilisation", "--series-6"]]),
      formatY: (value) => `${formatNumber(value, 3)} %`,
    },
    {
      name: "GPU temperature",
      series: take([["gpu_temperature_celsius", "GPU temperature", "--series-2"]]),
      formatY: (value) => `${formatNumber(value, 3)} °C`,
    },
    {
      name: "GPU power",
      series: take([["gpu_power_watts", "GPU power", "--series-7"]]),
      formatY: (value) => `${formatNumber(value, 3)} W`,
    },
  ];
  return all.filter((measure) => measure.series.length > 0);
}

/** In one unit all along the axis: ticks of 1.9 GiB each would tell nothing. */
function makeMemory(series: CurveSeries[]): Measure {
  const highest = series.reduce((high, { y }) => y.reduce<number>((top, value) => Math.max(top, value ?? 0), high), 0);
  const [size, unit] = highest < GIB ? [MIB, "MiB"] : [GIB, "GiB"];
  return {
    name: "Memory",
    series: series.map((each) => ({ ...each, y: each.y.map((value) => (value === null ? null : value / size)) })),
    formatY: (value) => `${formatNumber(value, 3)} ${unit}`,
  };
}
