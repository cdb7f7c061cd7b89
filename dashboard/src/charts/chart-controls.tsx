// The controls of a loss chart: how smooth its curves are, and the units of its axes.

import { Choices } from "../ui/choices";
import type { XKind } from "./series";
import "./chart-controls.css";

/** The weights of the moving average (lib/smoothing.ts) that the slider offers. */
export const MAX_SMOOTHING = 0.99;
const SMOOTHING_STEP = 0.01;

export function SmoothingSlider({ weight, onChange }: { weight: number; onChange: (weight: number) => void }) {
  return (
    <label class="smoothing">
      Smoothing
      <input
        type="range"
        min={0}
        max={MAX_SMOOTHING}
        step={SMOOTHING_STEP}
        value={weight}
        aria-valuetext={weight.toFixed(2)}
        onInput={(event) => onChange(Number(event.currentTarget.value))}
      />
      <output>{weight.toFixed(2)}</output>
    </label>
  );
}

export function AxisChoices({
  xKind,
  isLog,
  onKind,
  onLog,
}: {
  xKind: XKind;
  isLog: boolean;
  onKind: (xKind: XKind) => void;
  onLog: (isLog: boolean) => void;
}) {
  return (
    <>
      <Choices
        label="Horizontal axis"
        options={[
          ["step", "Steps"],
          ["time", "Time"],
        ]}
        value={xKind}
        onChange={onKind}
      />
      <Choices
        label="Vertical axis"
        options={[
          ["linear", "Linear"],
          ["log", "Log"],
        ]}
        value={isLog ? "log" : "linear"}
        onChange={(scale) => onLog(scale === "log")}
      />
    </>
  );
}
