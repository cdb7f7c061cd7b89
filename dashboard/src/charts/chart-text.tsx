// Describes a chart in words and as a table, for readers who can't see it.

import { useState } from "preact/hooks";
import { formatX } from "./plot-axes";
import type { CurveSeries, XKind } from "./series";

const TABLE_ROWS = 20;

/** Describes the first, lowest and last value in one sentence. */
export function describeSeries({ label, x, y }: CurveSeries, formatY: (value: number) => string): string {
  let first = -1;
  let lowest = -1;
  let last = -1;
  for (let index = 0; index < x.length; index++) {
    const value = y[index];
    if (value === null || value === undefined) continue;
    if (first < 0) first = index;
    if (lowest < 0 || value < (y[lowest] as number)) lowest = index;
    last = index;
  }
  if (first < 0) return `${label}: no points yet.`;
  const say = (index: number) => formatY(y[index] as number);
  return `${label}: first ${say(first)}, lowest ${say(lowest)}, last ${say(last)}.`;
}

/** Shows the last points of all series in a table that is built only when it is opened. */
export function ChartTable({
  series,
  xKind,
  xLabel,
  formatY,
}: {
  series: readonly CurveSeries[];
  xKind: XKind;
  xLabel: string;
  formatY: (value: number) => string;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="curve-chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table</summary>
      {isOpen && (
        <div class="table-box">
          <table>
            <thead>
              <tr>
                <th scope="col">{xLabel}</th>
                {series.map((each) => (
                  <th scope="col" class="number" key={each.label}>
                    {each.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {listRows(series, TABLE_ROWS).map(({ x, values }) => (
                <tr key={x}>
                  <td>{formatX(xKind, x)}</td>
                  {values.map((value, index) => (
                    <td class="number" key={series[index]?.label}>
                      {value === null ? "–" : formatY(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

interface TableRow {
  x: number;
  values: (number | null)[];
}

/** The x values of the last points of all series, the newest first, with each series' value there. */
export function listRows(series: readonly CurveSeries[], count: number): TableRow[] {
  const rows = new Map<number, (number | null)[]>();
  series.forEach((each, place) => {
    for (let index = Math.max(each.x.length - count, 0); index < each.x.length; index++) {
      const x = each.x[index] as number;
      const values = rows.get(x) ?? series.map(() => null);
      values[place] = each.y[index] ?? null;
      rows.set(x, values);
    }
  });
  return [...rows]
    .map(([x, values]) => ({ x, values }))
    .sort((one, other) => other.x - one.x)
    .slice(0, count);
}
