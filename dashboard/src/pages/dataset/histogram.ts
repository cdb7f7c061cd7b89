// Lengths in bins, as bars: what stands over and under each.

export interface Bin {
  low: number;
  high: number;
  count: number;
}

export interface Bar {
  label: string;
  count: number;
  /** Of the highest bar, from 0 to 1. */
  height: number;
  /** How much of the bin lies above the limit, from 0 to 1. */
  overShare: number;
}

/** One bar for each bin, in order; the API gives bins that double in width, and none between its ends are missing. */
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
