// The large chart of the loss and the small charts of everything else that was measured; they share one crosshair and
// one zoom.

import { useMemo, useRef, useState } from "preact/hooks";
import { AxisChoices, MAX_SMOOTHING, SmoothingSlider } from "../../../charts/chart-controls";
import { CurveChart } from "../../../charts/curve-chart";
import type { CurveSeries, XKind } from "../../../charts/series";
import { hasValues, type JobCurves, pick } from "../../../lib/curves";
import { formatNumber } from "../../../lib/format";
import { smooth } from "../../../lib/smoothing";
import { Skeleton } from "../../../ui/feedback";
import { LiveChip } from "../live-chip";
import { Section } from "../section";
import { Emotion } from "./emotion-effect";
import { listMeasures } from "./measures";
import { useCurves } from "./use-curves";

const LOSS_HEIGHT = 340;
const SMALL_HEIGHT = 170;
/** The initial smoothing: the more points there are, the more of them share one pixel. */
const FIRST_WEIGHTS = [
  [1_000, 0.9],
  [5_000, 0.95],
  [10_000, 0.98],
] as const;

export function CurvesSection({ jobId, isOver }: { jobId: string; isOver: boolean }) {
  const { curves, error, live } = useCurves(jobId);
  const [chosenWeight, setWeight] = useState<number | null>(null);
  const [isLog, setLog] = useState(false);
  const [xKind, setKind] = useState<XKind>("step");
  const first = useRef<number | null>(null);
  // The first answer decides the smoothing, and it stays: a line that changes without new data would confuse.
  if (curves) first.current ??= findFirstWeight(curves.step.length);
  const weight = chosenWeight ?? first.current ?? FIRST_WEIGHTS[0][1];
  const x = curves ? (xKind === "step" ? curves.step : curves.elapsed) : [];
  const axis = { xKind, xLabel: xKind === "step" ? "Step" : "Time", syncKey: jobId };
  return (
    <>
      <Section
        id="loss"
        title="Loss"
        tools={
          <>
            <LiveChip live={live} isOver={isOver} />
            <SmoothingSlider weight={weight} onChange={setWeight} />
            <AxisChoices xKind={xKind} isLog={isLog} onKind={setKind} onLog={setLog} />
          </>
        }
      >
        {error && <p class="problem">{error.message}</p>}
        {curves ? (
          <>
            <LossChart curves={curves} x={x} weight={weight} isLog={isLog} axis={axis} />
            <Emotion curves={curves} />
          </>
        ) : (
          <div class="job-loss-space">
            <Skeleton lines={8} />
          </div>
        )}
      </Section>
      {curves ? <Measures curves={curves} x={x} weight={weight} axis={axis} /> : <MeasuresSpace />}
    </>
  );
}

function findFirstWeight(count: number): number {
  return FIRST_WEIGHTS.find(([most]) => count <= most)?.[1] ?? MAX_SMOOTHING;
}

/** The space in which the small charts will appear. */
function MeasuresSpace() {
  return (
    <div class="job-measures" aria-hidden="true">
      {["one", "two", "three", "four"].map((each) => (
        <div class="card job-measure-space" key={each}>
          <div class="skeleton" />
        </div>
      ))}
    </div>
  );
}

interface Axis {
  xKind: XKind;
  xLabel: string;
  syncKey: string;
}

function LossChart({
  curves,
  x,
  weight,
  isLog,
  axis,
}: {
  curves: JobCurves;
  x: number[];
  weight: number;
  isLog: boolean;
  axis: Axis;
}) {
  const series = useMemo(() => makeLossSeries(curves, x, weight), [curves, x, weight]);
  return (
    <CurveChart
      series={series}
      {...axis}
      yLabel=""
      formatY={formatNumber}
      logY={isLog}
      height={LOSS_HEIGHT}
      ariaLabel={`Loss by ${axis.xLabel.toLowerCase()}`}
    />
  );
}

function makeLossSeries(curves: JobCurves, x: number[], weight: number): CurveSeries[] {
  const { loss, eval_loss, eval_neutral_loss } = curves.values;
  const series: CurveSeries[] = [];
  if (weight === 0) series.push({ label: "training", x, y: loss, color: "--series-1" });
  else {
    series.push({ label: "each step", x, y: loss, color: "--series-1", faint: true, width: 1 });
    series.push({ label: "smoothed", x, y: smooth(loss, weight), color: "--series-1", width: 2.25 });
  }
  if (hasValues(eval_loss)) {
    series.push({ label: "held out", ...pick(x, eval_loss), color: "--series-2", width: 1.5, points: true });
  }
  if (hasValues(eval_neutral_loss)) {
    const found = pick(x, eval_neutral_loss);
    series.push({
      label: "held out, no emotion",
      ...found,
      color: "--series-3",
      width: 1.5,
      dash: [5, 4],
      points: true,
    });
  }
  return series;
}

function Measures({ curves, x, weight, axis }: { curves: JobCurves; x: number[]; weight: number; axis: Axis }) {
  const measures = useMemo(() => listMeasures(curves, x, weight), [curves, x, weight]);
  if (measures.length === 0) return null;
  return (
    <section class="job-measures" id="job-measures" aria-labelledby="job-measures-title">
      <h2 class="hidden-text" id="job-measures-title" tabIndex={-1}>
        Other curves
      </h2>
      {measures.map((measure) => (
        <div class="card" key={measure.name}>
          <CurveChart
            series={measure.series}
            {...axis}
            yLabel={measure.name}
            formatY={measure.formatY}
            height={SMALL_HEIGHT}
            ariaLabel={`${measure.name} by ${axis.xLabel.toLowerCase()}`}
          />
        </div>
      ))}
    </section>
  );
}
