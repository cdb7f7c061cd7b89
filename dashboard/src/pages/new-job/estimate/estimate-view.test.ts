import { expect, it } from "vitest";
import type { JobEstimate, Slot } from "../../../api/types";
import { describeFit, makeMemoryBar } from "./estimate-view";

const estimate = (memory: Record<string, number> | null) => ({ device: "cuda", memory }) as JobEstimate;
const slot = (name: string, memory_bytes: number | null, device = "cuda") => ({ name, memory_bytes, device }) as Slot;

it("draws the parts relative to the largest slot of the device", () => {
  const bar = makeMemoryBar(estimate({ weights: 10, adapter: 10, logits: 0 }), [
    slot("b", 40),
    slot("a", 20),
    slot("c", 40),
    slot("cpu", 900, "cpu"),
    slot("new", null),
  ]);
  expect(bar?.parts.map((part) => [part.label, part.share])).toEqual([
    ["Base model", 0.25],
    ["Adapter", 0.25],
  ]);
  expect(bar?.marks).toEqual([
    { bytes: 20, share: 0.5, slots: ["a"] },
    { bytes: 40, share: 1, slots: ["b", "c"] },
  ]);
  expect(bar && describeFit(bar, "cuda")).toBe("Fits all 3 GPU slots.");
});

it("is as long as the job's memory if that is more", () => {
  const bar = makeMemoryBar(estimate({ weights: 80 }), [slot("a", 20), slot("b", 40)]);
  expect(bar?.marks.map((mark) => mark.share)).toEqual([0.25, 0.5]);
  expect(bar && describeFit(bar, "cuda")).toBe("Fits none of 2 GPU slots.");
});

it("is missing for a model of unknown size, and describes slots that report no memory", () => {
  expect(makeMemoryBar(estimate(null), [])).toBeNull();
  const bar = makeMemoryBar(estimate({ weights: 1 }), []);
  expect(bar && describeFit(bar, "cpu")).toBe("No CPU slot has reported its memory yet.");
});
