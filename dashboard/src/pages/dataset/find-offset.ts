/**
 * Returns the index, from 0, of the first example on `line` or after it. `askLine` returns the line of the example at
 * an index, or null after the end. Line numbers grow with the index and are never smaller than it, so one request is
 * enough if there are no blank lines.
 */
export async function findOffset(
  line: number,
  exampleCount: number,
  askLine: (offset: number) => Promise<number | null>,
): Promise<number> {
  let high = Math.max(0, Math.min(line, exampleCount) - 1);
  const found = await askLine(high);
  if (found === null || found <= line) return high;
  // The example at `high` is after the line; the wanted one is at `high` or before it.
  let low = 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = await askLine(middle);
    if (at === line) return middle;
    if (at !== null && at < line) low = middle + 1;
    else high = middle;
  }
  return low;
}
