/**
 * Returns the points of a polyline for an SVG, as `x,y x,y`. Null values leave a gap; fewer than two values give an
 * empty string.
 */
export function makeSparkline(values: readonly (number | null)[], width: number, height: number): string {
  const finite = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (finite.length < 2) return "";
  const low = Math.min(...finite);
  const range = Math.max(...finite) - low || 1;
  const margin = 1.5;
  return values
    .flatMap((value, index) => {
      if (value === null || !Number.isFinite(value)) return [];
      const x = margin + (index / (values.length - 1)) * (width - 2 * margin);
      const y = margin + (1 - (value - low) / range) * (height - 2 * margin);
      return [`${x.toFixed(1)},${y.toFixed(1)}`];
    })
    .join(" ");
}
