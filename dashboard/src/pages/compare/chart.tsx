// The chart with the losses of all compared jobs.

import { useMemo, useState } from "preact/hooks";
import { AxisChoices, SmoothingSlider } from "../../charts/chart-controls";
import { CurveChart } from "../../charts/curve-chart";
import type { LineLook } from "../../charts/line-swatch";
import type { CurveSeries, XKind } from "../../charts/series";
import { hasValues, pick } from "../../lib/curves";
import { formatLoss } from "../../lib/jobs-view";
import { smooth } from "../../lib/smoothing";
import type { ComparedJob } from "./compared";

const FIRST_SMOOTHING = 0.9;
const HEIGHT = 400;

export interface ShownJob extends ComparedJob {
  label: string;
  look: LineLook;
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
        <SmoothingSlider weight={smoothing} onChange={setSmoothing} />
        <label class="row" title={hasEval ? undefined : "None of these jobs measures the loss on held-out examples."}>
          <input
            type="checkbox"
            checked={isEval}
            disabled={!hasEval}
            onChange={(event) => change({ isEval: event.currentTarget.checked })}
          />
          Eval loss
        </label>
        <AxisChoices
          xKind={view.x}
          isLog={view.isLog}
          onKind={(x) => change({ x })}
          onLog={(isLog) => change({ isLog })}
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
  const series: CurveSeries[] = [{ label, x, y: smooth(curves.values.loss, smoothing), width: 2, ...look }];
  if (isEval && hasValues(curves.values.eval_loss)) {
    series.push({ label: `${label}, eval`, ...pick(x, curves.values.eval_loss), width: 1, points: true, ...look });
  }
  return series;
}
