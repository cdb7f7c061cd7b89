// Formats numbers and dates for people: always with their unit, always short.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const NONE = "–";

/** Formats bytes as `1.4 GiB`; the unit is binary, as in the API's `*_bytes`. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Formats seconds as `45 s`, `3 min 20 s`, `2 h 5 min` or `4 d 3 h`: in the two largest units. */
export function formatSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return seconds > 0 && seconds < 10 ? `${Number(seconds.toFixed(1))} s` : `${whole} s`;
  if (whole < HOUR) return join(Math.floor(whole / MINUTE), "min", whole % MINUTE, "s");
  if (whole < DAY) return join(Math.floor(whole / HOUR), "h", Math.floor((whole % HOUR) / MINUTE), "min");
  return join(Math.floor(whole / DAY), "d", Math.floor((whole % DAY) / HOUR), "h");
}

function join(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

/** Formats an expected time as `about 23 min` or `about 2.5 h`: in one unit. */
export function formatAbout(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const [value, unit] =
    seconds < MINUTE
      ? [seconds, "s"]
      : seconds < HOUR
        ? [seconds / MINUTE, "min"]
        : seconds < DAY
          ? [seconds / HOUR, "h"]
          : [seconds / DAY, "d"];
  return `about ${value < 10 && unit !== "s" ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}

/** Formats a date as `3 minutes ago`, `in 2 hours` or `just now`. */
export function formatRelative(date: Date, now: Date): string {
  const seconds = (date.getTime() - now.getTime()) / 1000;
  const size = Math.abs(seconds);
  if (size < 10) return seconds > 3 ? "in a moment" : "just now";
  const [value, unit] =
    size < MINUTE
      ? [Math.round(size), "second"]
      : size < HOUR
        ? [Math.round(size / MINUTE), "minute"]
        : size < DAY
          ? [Math.round(size / HOUR), "hour"]
          : [Math.round(size / DAY), "day"];
  const words = `${value} ${unit}${value === 1 ? "" : "s"}`;
  return seconds < 0 ? `${words} ago` : `in ${words}`;
}

/** Formats the exact time in the reader's time zone. */
export function formatDate(date: Date): string {
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Formats a loss or a similar number with four significant digits. */
export function formatNumber(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
}

/** Formats a count as `12,345`. */
export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : Math.round(value).toLocaleString("en-US");
}

/** Formats a count with its noun, as `1 job` or `3 jobs`. */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Formats a share between 0 and 1 as `42 %`. */
export function formatShare(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return NONE;
  const percent = share * 100;
  return `${percent > 0 && percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}
