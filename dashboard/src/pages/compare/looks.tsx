// How the curve of each job looks: a colour and a pattern of its own, so that colour isn't the only cue.

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

export interface Look {
  color: string;
  dash: number[] | undefined;
}

export function findLook(place: number): Look {
  const index = place % DASHES.length;
  return { color: `--series-${index + 1}`, dash: DASHES[index] };
}

export function LineSample({ look }: { look: Look }) {
  return (
    <svg class="compare-line" width="30" height="10" viewBox="0 0 30 10" aria-hidden="true">
      <line
        x1="0"
        x2="30"
        y1="5"
        y2="5"
        style={{ stroke: `var(${look.color})` }}
        stroke-width="3"
        stroke-dasharray={look.dash?.join(" ")}
      />
    </svg>
  );
}
