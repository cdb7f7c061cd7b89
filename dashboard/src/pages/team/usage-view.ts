// Turns a team's usage into bars under a round maximum, so that the axis has round numbers.

/** Returns the next of 1, 2 and 5 times a power of ten that is at least `value`; 1 for 0. */
export function findRoundTop(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 5]) {
    if (value <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

export interface UsageBar {
  date: string;
  /** The height relative to the axis' maximum, from 0 to 1. */
  share: number;
  hours: number;
  runs: number;
}

/** Returns the bars and the axis' maximum, in hours of slot time. */
export function makeUsageBars(days: readonly { date: string; slot_seconds: number; run_count: number }[]): {
  bars: UsageBar[];
  topHours: number;
} {
  const hours = days.map((day) => day.slot_seconds / 3600);
  const topHours = findRoundTop(Math.max(0, ...hours));
  const bars = days.map((day, index) => ({
    date: day.date,
    share: (hours[index] ?? 0) / topHours,
    hours: hours[index] ?? 0,
    runs: day.run_count,
  }));
  return { bars, topHours };
}

/** Formats slot time as `3.5 h` or `12 min`, short enough for a table. */
export function formatSlotTime(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return `${hours < 100 ? Number(hours.toFixed(1)) : Math.round(hours).toLocaleString("en-US")} h`;
}

/** Reads a number from a field that may be left empty. Returns `undefined` if the text is not a number. */
export function readQuota(text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const value = Number(trimmed);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
