// A team's usage as bars: heights against a round top, so that the axis has numbers that people like.

/** The next of 1, 2, 5 times a power of ten at or above; 1 for nothing. */
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
  /** Of the axis' top, 0 to 1. */
  share: number;
  hours: number;
  runs: number;
}

/** The bars, and what the axis' top stands for, in hours of slot time. */
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

/** `3.5 h`, `12 min`: slot time short enough for a table. */
export function formatSlotTime(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return `${hours < 100 ? Number(hours.toFixed(1)) : Math.round(hours).toLocaleString("en-US")} h`;
}

/** What a person typed as a number that may be left empty. `undefined` where it is no number. */
export function readQuota(text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const value = Number(trimmed);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
