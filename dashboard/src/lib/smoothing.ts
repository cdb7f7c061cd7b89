/**
 * Returns the debiased exponential moving average of the values so far:
 *
 *     m[n] = weight * m[n-1] + (1 - weight) * y[n],  m[0] = 0
 *     smoothed[n] = m[n] / (1 - weight^n)
 *
 * Without the division the first values would be pulled towards 0. `n` counts the values that are not null: a null
 * stays null and changes nothing. `weight` is between 0 (the values themselves) and 0.99.
 */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  let mean = 0;
  let power = 1;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    mean = weight * mean + (1 - weight) * value;
    power *= weight;
    return mean / (1 - power);
  });
}
