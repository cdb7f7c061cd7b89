import { describe, expect, it } from "vitest";
import type { Job } from "../../api/types";
import { makeCurves } from "../../lib/curves";
import { formatSeconds } from "../../lib/format";
import {
  type ComparedJob,
  compareEstimate,
  describeMismatch,
  findBest,
  formatValue,
  keepPlaces,
  labelJobs,
  listConfigRows,
  listFigures,
  parseIds,
} from "./compared";

function makeJob(change: Partial<Job> = {}): Job {
  return {
    id: "job_1",
    name: "warm replies",
    status: "succeeded",
    base_model: "gemma-3-270m",
    dataset: { id: "ds_1", name: "chats", sha256: "9f86d0" },
    config: {},
    attempt: 1,
    step: 80,
    total_steps: 80,
    last_loss: 1.5,
    tokens_per_second: null,
    estimate: { train_seconds: 110, peak_memory_bytes: 2048 },
    result: { final_loss: 1.25, token_count: 8000, train_seconds: 100, peak_memory_bytes: 1024 },
    peak_gpu_bytes: null,
    peak_host_bytes: null,
    ...change,
  } as Job;
}

function makeCompared(
  change: Partial<Job> = {},
  losses: number[] = [],
  evalLosses: (number | null)[] = [],
): ComparedJob {
  const curves = makeCurves();
  curves.step = losses.map((_, index) => index + 1);
  curves.elapsed = losses.map((_, index) => (index + 1) * 10);
  curves.values.loss = losses;
  curves.values.eval_loss = evalLosses;
  curves.values.eval_neutral_loss = evalLosses.map((loss) => (loss === null ? null : loss + 0.25));
  return { job: makeJob(change), curves, tokenCount: losses.length ? losses.length * 100 : null };
}

const find = (jobs: ComparedJob[], name: string) => listFigures(jobs).find((row) => row.name === name);

describe("the ids in the address", () => {
  it("count once each, up to the maximum number of jobs", () => {
    expect(parseIds("job_1, job_2,job_1,,")).toEqual(["job_1", "job_2"]);
    expect(parseIds("1,2,3,4,5,6,7,8,9")).toHaveLength(8);
    expect(parseIds(null)).toEqual([]);
  });
});

describe("places of curves", () => {
  it("stay when another job is removed, whose place the next job takes", () => {
    const first = keepPlaces(new Map(), ["a", "b", "c"]);
    const second = keepPlaces(first, ["a", "c"]);
    expect([...second]).toEqual([
      ["a", 0],
      ["c", 2],
    ]);
    expect(keepPlaces(second, ["a", "c", "d", "e"]).get("d")).toBe(1);
    expect(keepPlaces(second, ["a", "c", "d", "e"]).get("e")).toBe(3);
  });
});

it("distinguishes jobs with the same name", () => {
  const jobs = [
    { id: "job_aaaa1111", name: "nightly" },
    { id: "job_bbbb2222", name: "nightly" },
    { id: "job_cccc3333", name: "other" },
  ];
  expect(labelJobs(jobs)).toEqual(["nightly (1111)", "nightly (2222)", "other"]);
});

describe("configs", () => {
  const rows = listConfigRows([
    { config: { epochs: 4, lora_modules: ["q_proj", "v_proj"], max_steps: null, row_report: true } },
    { config: { epochs: 2, lora_modules: ["q_proj", "v_proj"], max_steps: null, log_every: 1 } },
  ]);
  it("differ in values and in missing fields", () => {
    expect(rows.filter(({ differs }) => differs).map(({ field }) => field)).toEqual([
      "epochs",
      "row_report",
      "log_every",
    ]);
    expect(rows.find(({ field }) => field === "log_every")?.values).toEqual(["–", "1"]);
  });
  it.each([
    [null, "not set"],
    [false, "no"],
    [0.0002, "2e-4"],
    [0.05, "0.05"],
    [0, "0"],
    [["q_proj", "v_proj"], "q_proj, v_proj"],
    ["cosine", "cosine"],
  ])("%j is %s", (value, text) => expect(formatValue(value)).toBe(text));
});

describe("figures", () => {
  it("mark the lowest loss", () => {
    const jobs = [makeCompared({}, [2, 1.2, 1.4]), makeCompared({ result: { final_loss: 1.2 } }, [2, 1.1])];
    expect(find(jobs, "Last loss")).toEqual({
      name: "Last loss",
      figures: [{ text: "1.250" }, { text: "1.200" }],
      best: [1],
    });
    expect(find(jobs, "Best loss")?.best).toEqual([1]);
  });
  it("mark nothing if no value is better", () => {
    expect(findBest([1, null], "lowest")).toEqual([]);
    expect(findBest([1, 1], "lowest")).toEqual([]);
    expect(findBest([2, 1, 1], "lowest")).toEqual([1, 2]);
    expect(findBest([2, 1], "highest")).toEqual([0]);
  });
  it("leave out figures that no job has", () => {
    expect(find([makeCompared({}, [1])], "Last eval loss")).toBeUndefined();
    const measured = [makeCompared({}, [2, 1], [null, 1.5]), makeCompared({}, [2, 1])];
    expect(find(measured, "Last eval loss")?.figures.map(({ text }) => text)).toEqual(["1.500", "–"]);
    expect(find(measured, "Loss reduction by emotion")?.figures.map(({ text }) => text)).toEqual(["0.250", "–"]);
  });
  it("come from the curve while there is no result", () => {
    const jobs = [makeCompared({ status: "running", result: null, last_loss: 1.4, tokens_per_second: 42 }, [2, 1.4])];
    expect(find(jobs, "Last loss")?.figures).toEqual([{ text: "1.400" }]);
    expect(find(jobs, "Tokens")?.figures).toEqual([{ text: "200" }]);
    expect(find(jobs, "Tokens/s")?.figures).toEqual([{ text: "42" }]);
    expect(find(jobs, "Training time")?.figures).toEqual([{ text: "20 s", note: "estimated 1 min 50 s" }]);
  });
  it("report how far off the estimate was", () => {
    const ended = { status: "succeeded" } as const;
    expect(compareEstimate(ended, 100, 110, formatSeconds).note).toBe("estimated 1 min 50 s (10 % over)");
    expect(compareEstimate(ended, 100, 50, formatSeconds).note).toBe("estimated 50 s (50 % under)");
    expect(compareEstimate(ended, 100, 100.2, formatSeconds).note).toBe("estimated 1 min 40 s (exact)");
    expect(compareEstimate(ended, 100, null, formatSeconds).note).toBeUndefined();
    expect(compareEstimate({ status: "failed" }, 5, 100, formatSeconds).note).toBe("estimated 1 min 40 s");
  });
});

it("warns of losses that can't be compared", () => {
  const other = makeJob({ dataset: { id: "ds_2", name: "b", sha256: "1" }, base_model: "gemma-3-1b-it" });
  expect(describeMismatch([makeJob(), makeJob()])).toBe("");
  expect(describeMismatch([makeJob(), other])).toContain("different datasets and base models");
});
