// The losses of the jobs in one plot.

import { useMemo, useState } from "preact/hooks";
import { CurveChart, type CurveSeries, type XKind } from "../../charts/curve-chart";
import type { ComparedJob } from "../../lib/compare";
import { hasValues, pick } from "../../lib/curves";
import { formatLoss } from "../../lib/jobs-view";
import { smooth } from "../../lib/smoothing";
import type { Look } from "./looks";

const FIRST_SMOOTHING = 0.9;
const MAX_SMOOTHING = 0.98;
const HEIGHT = 400;

export interface ShownJob extends ComparedJob {
  label: string;
  look: Look;
}

export interface ChartView {
  x: XKind;
  isLog: boolean;
  isEval: boolean;
}

export function LossChart({
  jobs,
  view,
  change,
}: {
  jobs: ShownJob[];
  view: ChartView;
  change: (part: Partial<ChartView>) => void;
}) {
  const [smoothing, setSmoothing] = useState(FIRST_SMOOTHING);
  const hasEval = jobs.some(({ curves }) => hasValues(curves.values.eval_loss));
  const isEval = view.isEval && hasEval;
  const series = useMemo(
    () => jobs.flatMap((job) => makeSeries(job, view.x, smoothing, isEval)),
    [jobs, view.x, smoothing, isEval],
  );
  return (
    <section class="card">
      <div class="card-head">
        <h2>Curves</h2>
        <label class="compare-smoothing">
          <span>Smoothing</span>
          <input
            type="range"
            min={0}
            max={MAX_SMOOTHING}
            step={0.02}
            value={smoothing}
            onInput={(event) => setSmoothing(Number(event.currentTarget.value))}
          />
          <output class="number">{smoothing.toFixed(2)}</output>
        </label>
        <label class="row" title={hasEval ? undefined : "None of these jobs measures a loss on held-out examples."}>
          <input
            type="checkbox"
            checked={isEval}
            disabled={!hasEval}
            onChange={(event) => change({ isEval: event.currentTarget.checked })}
          />
          Eval loss
        </label>
        <Choice
          label="Horizontal axis"
          options={[
            ["step", "Step"],
            ["time", "Time"],
          ]}
          value={view.x}
          onPick={(x) => change({ x })}
        />
        <Choice
          label="Vertical axis"
          options={[
            ["linear", "Linear"],
            ["log", "Log"],
          ]}
          value={view.isLog ? "log" : "linear"}
          onPick={(scale) => change({ isLog: scale === "log" })}
        />
      </div>
      <div class="card-body">
        <CurveChart
          series={series}
          xKind={view.x}
          xLabel={view.x === "time" ? "Training time" : "Step"}
          yLabel="Loss"
          formatY={formatLoss}
          logY={view.isLog}
          height={HEIGHT}
          ariaLabel={`Loss of ${jobs.map(({ label }) => label).join(", ")}`}
        />
      </div>
    </section>
  );
}

function makeSeries(
  { label, look, curves }: ShownJob,
  xKind: XKind,
  smoothing: number,
  isEval: boolean,
): CurveSeries[] {
  const x = xKind === "time" ? curves.elapsed : curves.step;
  const line = { color: look.color, ...(look.dash ? { dash: look.dash } : {}) };
  const series: CurveSeries[] = [{ label, x, y: smooth(curves.values.loss, smoothing), width: 2, ...line }];
  if (isEval && hasValues(curves.values.eval_loss)) {
    series.push({ label: `${label}, eval`, ...pick(x, curves.values.eval_loss), width: 1, points: true, ...line });
  }
  return series;
}

function Choice<T extends string>({
  label,
  options,
  value,
  onPick,
}: {
  label: string;
  options: [T, string][];
  value: T;
  onPick: (value: T) => void;
}) {
  return (
    <fieldset class="choices compare-choice">
      <legend class="hidden-text">{label}</legend>
      {options.map(([each, name]) => (
        <button key={each} type="button" aria-pressed={each === value} onClick={() => onPick(each)}>
          {name}
        </button>
      ))}
    </fieldset>
  );
}
