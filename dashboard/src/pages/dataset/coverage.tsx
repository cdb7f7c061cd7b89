// Shows how often and how strongly each pole occurs in the text that is learned: as bars from the middle of each axis,
// or as a table.

import { useState } from "preact/hooks";
import type { Report, TokenReport } from "../../datasets/report-types";
import { findHue, listPoles, makeCoverage, type Pole } from "../../lib/emotion";
import { formatCount, formatNumber, formatShare, NONE } from "../../lib/format";
import { Choices } from "../../ui/choices";
import { Skeleton } from "../../ui/feedback";

interface PoleNumbers {
  segment_count: number;
  mean_intensity: number;
  token_count?: number;
  token_share?: number;
  /** The segments by intensity, in ten steps. */
  histogram?: readonly number[];
}

type Measure = "tokens" | "segments" | "intensity" | "strengths";
type Shown = Measure | "table";

const NAMES: Record<Shown, string> = {
  tokens: "Tokens",
  segments: "Segments",
  intensity: "Mean intensity",
  strengths: "Intensities",
  table: "Table",
};
const EXPLAINED: Record<Shown, string> = {
  tokens: "Share of the learned tokens that carry the pole.",
  segments: "Segments that carry the pole; a segment is a part of one reply with one emotion.",
  intensity: "Mean intensity of the pole in the segments in which it occurs, from 0 to 1.",
  strengths:
    "Intensities from 0 in the middle to 1 at the ends, in ten steps: the deeper the colour, the more segments.",
  table: "All numbers of the poles in the text that is learned.",
};

export function CoverageCard({
  axes,
  report,
  tokens,
  isPending,
}: {
  axes: string[];
  report: Report | null;
  tokens: TokenReport | null;
  /** The token counts are about to arrive, so nothing is shown that they would replace at once. */
  isPending: boolean;
}) {
  const [chosen, setChosen] = useState<Shown>("tokens");
  const numbers: Readonly<Record<string, PoleNumbers>> | undefined = tokens?.emotions.poles ?? report?.emotions.poles;
  if (isPending) {
    return (
      <section class="card dataset-coverage">
        <h2>Emotions that are learned</h2>
        <Skeleton lines={8} />
      </section>
    );
  }
  if (!numbers) return null;
  // Until a base model has counted the tokens, the upload's report gives the segments only.
  const kinds: Shown[] = tokens
    ? ["tokens", "segments", "intensity", "strengths", "table"]
    : ["segments", "intensity", "table"];
  const shown = kinds.includes(chosen) ? chosen : "segments";
  return (
    <section class="card dataset-coverage">
      <div class="card-head">
        <h2>Emotions that are learned</h2>
        <Choices
          label="What is shown"
          options={kinds.map((kind) => [kind, NAMES[kind]] as const)}
          value={shown}
          onChange={setChosen}
        />
      </div>
      <div class="card-body stack">
        <p class="soft">{EXPLAINED[shown]}</p>
        {shown === "table" ? (
          <CoverageTable axes={axes} numbers={numbers} />
        ) : shown === "strengths" ? (
          <Strengths axes={axes} numbers={numbers} />
        ) : (
          <CoverageBars axes={axes} numbers={numbers} measure={shown} />
        )}
      </div>
    </section>
  );
}

interface Props {
  axes: string[];
  numbers: Readonly<Record<string, PoleNumbers>>;
}

const READ: Record<Exclude<Measure, "strengths">, (pole: PoleNumbers) => number> = {
  tokens: (pole) => pole.token_share ?? 0,
  segments: (pole) => pole.segment_count,
  intensity: (pole) => pole.mean_intensity,
};

function formatMeasure(measure: Exclude<Measure, "strengths">, value: number): string {
  if (measure === "tokens") return formatShare(value);
  return measure === "segments" ? formatCount(value) : formatNumber(value, 2);
}

function CoverageBars({ axes, numbers, measure }: Props & { measure: Exclude<Measure, "strengths"> }) {
  const values = Object.fromEntries(Object.entries(numbers).map(([name, pole]) => [name, READ[measure](pole)]));
  const poles = listPoles(axes);
  return (
    <ul class="emotion-bars">
      {makeCoverage(axes, values).map(([left, right], index) => {
        const [negative, positive] = [poles[2 * index] as Pole, poles[2 * index + 1] as Pole];
        return (
          <li key={left.name}>
            <PoleName pole={negative} isNone={left.value === 0} />
            <span class="number left">{formatMeasure(measure, left.value)}</span>
            <span class="track left emotion-hue" style={{ "--pole-hue": findHue(negative) }} aria-hidden="true">
              <span class="bar left" style={{ width: `${left.length * 100}%` }} />
            </span>
            <span class="track right emotion-hue" style={{ "--pole-hue": findHue(positive) }} aria-hidden="true">
              <span class="bar right" style={{ width: `${right.length * 100}%` }} />
            </span>
            <span class="number right">{formatMeasure(measure, right.value)}</span>
            <PoleName pole={positive} isNone={right.value === 0} />
          </li>
        );
      })}
    </ul>
  );
}

function PoleName({ pole, isNone }: { pole: Pole; isNone: boolean }) {
  return (
    <span
      class={`name ${pole.sign < 0 ? "left" : "right"} ${isNone ? "none" : ""}`}
      title={isNone ? `${pole.name} never occurs` : pole.name}
    >
      {pole.name}
    </span>
  );
}

function Strengths({ axes, numbers }: Props) {
  const poles = listPoles(axes);
  const most = Math.max(1, ...poles.flatMap((pole) => numbers[pole.name]?.histogram ?? []));
  return (
    <ul class="emotion-bars">
      {axes.map((axis, index) => {
        const [negative, positive] = [poles[2 * index] as Pole, poles[2 * index + 1] as Pole];
        return (
          <li key={axis}>
            <PoleName pole={negative} isNone={!numbers[negative.name]?.segment_count} />
            <span class="number left">{formatNumber(numbers[negative.name]?.mean_intensity, 2)}</span>
            <Cells pole={negative} numbers={numbers[negative.name]} most={most} />
            <Cells pole={positive} numbers={numbers[positive.name]} most={most} />
            <span class="number right">{formatNumber(numbers[positive.name]?.mean_intensity, 2)}</span>
            <PoleName pole={positive} isNone={!numbers[positive.name]?.segment_count} />
          </li>
        );
      })}
    </ul>
  );
}

function Cells({ pole, numbers, most }: { pole: Pole; numbers: PoleNumbers | undefined; most: number }) {
  const counts = (numbers?.histogram ?? []).map((count, tenth) => ({ count, tenth }));
  const side = pole.sign < 0 ? "left" : "right";
  return (
    <span class={`track cells ${side} emotion-hue`} style={{ "--pole-hue": findHue(pole) }}>
      {(pole.sign < 0 ? counts.reverse() : counts).map(({ count, tenth }) => (
        // The square root makes small counts visible next to large ones.
        <span
          key={tenth}
          class="cell"
          style={{ "--strength": Math.sqrt(count / most) }}
          title={`${pole.name} ${tenth / 10} to ${(tenth + 1) / 10}: ${formatCount(count)}`}
        />
      ))}
    </span>
  );
}

function CoverageTable({ axes, numbers }: Props) {
  return (
    <div class="table-box">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Pole</th>
            <th scope="col" class="number">
              Segments
            </th>
            <th scope="col" class="number">
              Learned tokens
            </th>
            <th scope="col" class="number">
              Share of learned tokens
            </th>
            <th scope="col" class="number">
              Mean intensity
            </th>
          </tr>
        </thead>
        <tbody>
          {listPoles(axes).map((pole) => {
            const found = numbers[pole.name];
            return (
              <tr key={pole.name}>
                <th scope="row" class="dataset-pole">
                  <span
                    class={`emotion-swatch emotion-hue ${pole.sign < 0 ? "negative" : ""}`}
                    style={{ "--pole-hue": findHue(pole) }}
                  >
                    {pole.name}
                  </span>
                </th>
                <td class="number" data-label="Segments">
                  {formatCount(found?.segment_count)}
                </td>
                <td class="number" data-label="Learned tokens">
                  {formatCount(found?.token_count)}
                </td>
                <td class="number" data-label="Share of learned tokens">
                  {formatShare(found?.token_share)}
                </td>
                <td class="number" data-label="Mean intensity">
                  {found?.segment_count ? formatNumber(found.mean_intensity, 3) : NONE}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
