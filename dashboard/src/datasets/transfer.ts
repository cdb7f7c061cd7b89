// Measures how fast bytes are sent, and how long the rest will take.

export interface TransferRate {
  bytesPerSecond: number | null;
  secondsLeft: number | null;
}

/** The rate is an average over the last seconds, so that it follows the connection without jumping. */
const WINDOW_MS = 8_000;
/** Before this time the rate would be a guess. */
const MIN_MS = 700;

export class RateMeter {
  private samples: { at: number; bytes: number }[] = [];

  /**
   * Adds a measurement. `at` is in milliseconds of any clock. After a lost connection `bytes` may be smaller than
   * before.
   */
  add(at: number, bytes: number): void {
    const last = this.samples.at(-1);
    if (last && bytes < last.bytes) this.samples = [];
    this.samples.push({ at, bytes });
    while (this.samples.length > 2 && at - (this.samples[0]?.at ?? at) > WINDOW_MS) this.samples.shift();
  }

  read(totalBytes: number): TransferRate {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last.at - first.at < MIN_MS || last.bytes === first.bytes) {
      return { bytesPerSecond: null, secondsLeft: null };
    }
    const bytesPerSecond = ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
    return { bytesPerSecond, secondsLeft: Math.max(0, totalBytes - last.bytes) / bytesPerSecond };
  }
}

export interface Part {
  /** The number of the part, from 1, as the API counts parts. */
  number: number;
  start: number;
  end: number;
}

/** Splits a file into parts. The parts become larger if there would otherwise be more of them than the API accepts. */
export function planParts(sizeBytes: number, partBytes: number, maxParts = 10_000): Part[] {
  const step = Math.max(partBytes, Math.ceil(sizeBytes / maxParts));
  return Array.from({ length: Math.ceil(sizeBytes / step) }, (_, index) => ({
    number: index + 1,
    start: index * step,
    end: Math.min((index + 1) * step, sizeBytes),
  }));
}

/** Returns the parts that are missing or incomplete. */
export function listMissingParts(
  parts: readonly Part[],
  there: readonly { number: number; size_bytes: number }[],
): Part[] {
  const sizes = new Map(there.map((part) => [part.number, part.size_bytes]));
  return parts.filter((part) => sizes.get(part.number) !== part.end - part.start);
}

/** Returns how long to wait before the next attempt, after this many failures in a row. */
export function pauseAfter(failures: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, failures - 1), 15_000);
}
