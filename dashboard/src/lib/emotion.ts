// Describes emotion vectors for people: which pole a number means, how strong it is, and which hue stands for it.

export interface Pole {
  /** The pole's name in lower case, as datasets write it. */
  name: string;
  axis: number;
  sign: -1 | 1;
}

export interface Feeling extends Pole {
  /** The strength, above 0 and at most 1. */
  strength: number;
}

/**
 * Returns the poles in the order of the axes, the negative pole of each axis first: `SADNESS_JOY` is sadness and joy.
 */
export function listPoles(axes: readonly string[]): Pole[] {
  return axes.flatMap((axis, index): Pole[] => {
    const [negative, positive] = splitAxis(axis);
    return [
      { name: negative, axis: index, sign: -1 },
      { name: positive, axis: index, sign: 1 },
    ];
  });
}

export function splitAxis(axis: string): [string, string] {
  const at = axis.indexOf("_");
  return at === -1
    ? [`no ${axis.toLowerCase()}`, axis.toLowerCase()]
    : [axis.slice(0, at).toLowerCase(), axis.slice(at + 1).toLowerCase()];
}

/** Returns the emotions of a vector, the strongest first; an empty list for a neutral vector. */
export function listFeelings(axes: readonly string[], vector: readonly number[]): Feeling[] {
  return vector
    .flatMap((value, axis): Feeling[] => {
      const name = axes[axis];
      if (!value || name === undefined) return [];
      const [negative, positive] = splitAxis(name);
      return [
        {
          name: value < 0 ? negative : positive,
          axis,
          sign: value < 0 ? -1 : 1,
          strength: Math.min(Math.abs(value), 1),
        },
      ];
    })
    .sort((a, b) => b.strength - a.strength);
}

/** Describes emotions as `joy 0.9, trust 0.4`, or as `neutral`. */
export function describeFeelings(feelings: readonly Feeling[]): string {
  return feelings.map((each) => `${each.name} ${formatStrength(each.strength)}`).join(", ") || "neutral";
}

export function formatStrength(strength: number): string {
  return String(Number(strength.toFixed(2)));
}

/** The hues of the default poles, in degrees of OKLCH; close to the common picture of an emotion if there is one. */
const HUES: Record<string, number> = {
  sadness: 252,
  joy: 92,
  fear: 182,
  courage: 115,
  disgust: 317,
  acceptance: 160,
  anger: 25,
  calmness: 207,
  surprise: 229,
  expectation: 47,
  distrust: 296,
  trust: 138,
  boredom: 274,
  interest: 70,
  indifference: 340,
  empathy: 2,
};
/** If neighbouring hues are this many degrees apart, they never come close to each other. */
const GOLDEN_ANGLE = 137.508;

/** Returns the hue of a pole in whole degrees. Poles of custom axes get their hue by their position. */
export function findHue(pole: Pole): number {
  return HUES[pole.name] ?? Math.round(((pole.axis * 2 + (pole.sign > 0 ? 1 : 0)) * GOLDEN_ANGLE + 25) % 360);
}

export function isDefaultAxes(axes: readonly string[]): boolean {
  return (
    axes.length === 8 &&
    axes[0] === "SADNESS_JOY" &&
    axes.every((axis) => splitAxis(axis).every((pole) => pole in HUES))
  );
}

export interface CoverageSide {
  name: string;
  value: number;
  /** The length relative to the longest bar, from 0 to 1. */
  length: number;
}

/** Returns the bars that grow from the middle: one row for each axis, all to one scale. */
export function makeCoverage(
  axes: readonly string[],
  values: Readonly<Record<string, number>>,
): [CoverageSide, CoverageSide][] {
  const longest = Math.max(...Object.values(values), 0) || 1;
  return axes.map((axis) => {
    const make = (name: string): CoverageSide => ({
      name,
      value: values[name] ?? 0,
      length: (values[name] ?? 0) / longest,
    });
    const [negative, positive] = splitAxis(axis);
    return [make(negative), make(positive)];
  });
}
