// Turns lengths in bins into bars, with the label and the count of each.

export interface Bin {
  low: number;
  high: number;
  count: number;
}

export interface Bar {
  label: string;
  count: number;
  /** The height relative to the highest bar, from 0 to 1. */
  height: number;
  /** The part of the bin above the limit, from 0 to 1. */
  overShare: number;
}

/**
 * Returns one bar for each bin, in order. The API's bins double in width, and none between the first and the last is
 * missing.
 */
export function makeBars(bins: readonly Bin[], limit: number | null = null): Bar[] {
  const highest = Math.max(...bins.map((bin) => bin.count), 1);
  return bins.map((bin) => ({
    label: bin.low === bin.high ? String(bin.low) : `${bin.low}–${bin.high}`,
    count: bin.count,
    height: bin.count / highest,
    overShare:
      limit === null
        ? 0
        : Math.min(Math.max((bin.high - Math.max(limit, bin.low - 1)) / (bin.high - bin.low + 1), 0), 1),
  }));
}
