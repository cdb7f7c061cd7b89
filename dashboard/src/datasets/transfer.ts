// How fast bytes go, and how long the rest will take.

export interface TransferRate {
  bytesPerSecond: number | null;
  secondsLeft: number | null;
}

/** Over the last seconds, so that it follows the link and doesn't jump. */
const WINDOW_MS = 8_000;
/** Before this the rate is a guess. */
const MIN_MS = 700;

export class RateMeter {
  private samples: { at: number; bytes: number }[] = [];

  /** `at` is in milliseconds, of any clock. After a lost connection `bytes` may be fewer than before. */
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
  /** From 1, as the API counts parts. */
  number: number;
  start: number;
  end: number;
}

/** The parts of a file. They grow where there would be more than the API takes. */
export function planParts(sizeBytes: number, partBytes: number, maxParts = 10_000): Part[] {
  const step = Math.max(partBytes, Math.ceil(sizeBytes / maxParts));
  return Array.from({ length: Math.ceil(sizeBytes / step) }, (_, index) => ({
    number: index + 1,
    start: index * step,
    end: Math.min((index + 1) * step, sizeBytes),
  }));
}

/** The parts that are not there yet, or not whole. */
export function listMissingParts(
  parts: readonly Part[],
  there: readonly { number: number; size_bytes: number }[],
): Part[] {
  const sizes = new Map(there.map((part) => [part.number, part.size_bytes]));
  return parts.filter((part) => sizes.get(part.number) !== part.end - part.start);
}

/** How long to wait before the next try, after so many that failed in a row. */
export function pauseAfter(failures: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, failures - 1), 15_000);
}
