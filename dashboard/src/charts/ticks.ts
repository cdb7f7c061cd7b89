// Computes the ticks of a logarithmic axis.

/** The ticks in each power of ten: the fewer powers are visible, the more ticks each has. */
const MANTISSAS: readonly (readonly number[])[] = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]];

/** Returns round numbers between two positive numbers, about `count` of them. */
export function listLogTicks(low: number, high: number, count: number): number[] {
  let found: number[] = [];
  for (const mantissas of MANTISSAS) {
    const denser = listMultiples(low, high, mantissas);
    if (found.length > 1 && denser.length > count) return found;
    found = denser;
  }
  return found.length > 2 ? found : listEvenly(low, high, count);
}

function listMultiples(low: number, high: number, mantissas: readonly number[]): number[] {
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const mantissa of mantissas) {
      const tick = Number(`${mantissa}e${power}`);
      if (tick >= low && tick <= high) found.push(tick);
    }
  }
  return found;
}

/** In such a small part of a power of ten, even steps are just as good. */
function listEvenly(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((each) => each * unit >= rough) as number);
  const found: number[] = [];
  for (let index = Math.ceil(low / step); ; index++) {
    const tick = Number((index * step).toPrecision(12));
    if (tick > high) return found;
    found.push(tick);
  }
}
