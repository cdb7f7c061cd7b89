// Reduces a series to as many points as the screen can show. The line looks the same, because the first, lowest,
// highest and last point of each column stay.

export interface Points {
  x: number[];
  y: number[];
}

/** The number of points of a column that the line needs to look the same. */
const KEPT_PER_COLUMN = 4;

/** Returns the first index whose x is at least `value`; `x` ascends. */
export function findFrom(x: readonly number[], value: number): number {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((x[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns the index whose x is nearest to `value`; -1 if there is none. */
export function findNearest(x: readonly number[], value: number): number {
  const after = findFrom(x, value);
  if (after === 0) return x.length ? 0 : -1;
  if (after === x.length) return x.length - 1;
  return value - (x[after - 1] as number) <= (x[after] as number) - value ? after - 1 : after;
}

/**
 * Returns the points between `from` and `to`: at most four for each of `columns` equal columns, and one more on each
 * side, so that the line continues to the edges. `x` ascends; points without a y are left out, and the line continues
 * past them.
 */
export function downsample(
  x: readonly number[],
  y: readonly (number | null)[],
  from: number,
  to: number,
  columns: number,
): Points {
  const start = findSeen(y, findFrom(x, from) - 1, -1);
  const end = findSeen(y, findAfter(x, to), 1);
  const found: Points = { x: [], y: [] };
  const isSparse = end - start <= columns * KEPT_PER_COLUMN || to <= from;
  const width = (to - from) / columns;
  let column: Column | null = null;
  for (let index = Math.max(start, 0); index <= Math.min(end, x.length - 1); index++) {
    const value = y[index];
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (isSparse) {
      found.x.push(x[index] as number);
      found.y.push(value);
      continue;
    }
    const place = Math.floor(((x[index] as number) - from) / width);
    if (column === null || column.place !== place) {
      if (column) keep(column, x, y, found);
      column = { place, first: index, low: index, high: index, last: index };
    }
    if (value < (y[column.low] as number)) column.low = index;
    if (value > (y[column.high] as number)) column.high = index;
    column.last = index;
  }
  if (column) keep(column, x, y, found);
  return found;
}

interface Column {
  place: number;
  first: number;
  low: number;
  high: number;
  last: number;
}

function keep(column: Column, x: readonly number[], y: readonly (number | null)[], found: Points): void {
  const inOrder = [column.first, Math.min(column.low, column.high), Math.max(column.low, column.high), column.last];
  let before = -1;
  for (const index of inOrder) {
    if (index === before) continue;
    before = index;
    found.x.push(x[index] as number);
    found.y.push(y[index] as number);
  }
}

/** Returns the first index whose x is above `value`. */
function findAfter(x: readonly number[], value: number): number {
  let index = findFrom(x, value);
  while (index < x.length && x[index] === value) index += 1;
  return index;
}

/** Returns the first index with a y, going from `index` in steps of `way`. */
function findSeen(y: readonly (number | null)[], index: number, way: 1 | -1): number {
  let place = index;
  while (place >= 0 && place < y.length && (y[place] === null || !Number.isFinite(y[place]))) place += way;
  return place;
}
