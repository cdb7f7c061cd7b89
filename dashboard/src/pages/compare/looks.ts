// Gives the curve of each job its own colour and pattern, so that colour isn't the only cue.

import type { LineLook } from "../../charts/line-swatch";

const DASHES: (number[] | undefined)[] = [
  undefined,
  [10, 4],
  [2, 3],
  [10, 3, 2, 3],
  [18, 4],
  [5, 3],
  [10, 3, 2, 3, 2, 3],
  [18, 3, 4, 3],
];

/** The length in pixels at which the longest pattern is completely visible. */
export const SWATCH_LENGTH = 30;

export function findLook(place: number): LineLook {
  const index = place % DASHES.length;
  const dash = DASHES[index];
  return { color: `--series-${index + 1}`, ...(dash && { dash }) };
}
