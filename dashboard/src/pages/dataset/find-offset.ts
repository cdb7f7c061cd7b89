/**
 * The place, counted from 0, of the first example that lies on `line` or after it. `askLine` tells the line of the example
 * at a place, null behind the end. Lines grow with places, and are never fewer: with no blank lines one question is enough.
 */
export async function findOffset(
  line: number,
  exampleCount: number,
  askLine: (offset: number) => Promise<number | null>,
): Promise<number> {
  let high = Math.max(0, Math.min(line, exampleCount) - 1);
  const found = await askLine(high);
  if (found === null || found <= line) return high;
  // The example at `high` lies behind the line; the one that is looked for is at `high` or before.
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
