import { describe, expect, it } from "vitest";
import type { JobRow } from "../api/types";
import {
  describeDuration,
  describePage,
  describePlace,
  describeSlots,
  describeStatus,
  formatLoss,
  formatRoughly,
  formatSpeed,
  hasEnded,
  isFiltered,
  listVerbs,
  readAriaSort,
  readView,
  turnSort,
  writeView,
} from "./jobs-view";

const ROW: JobRow = {
  id: "job_1",
  name: "warm replies",
  posted_by: "laptop",
  status: "running",
  phase: "training",
  priority: 0,
  priority_class: "normal",
  base_model: "gemma-3-270m",
  dataset_name: "chats",
  slot: "box-cuda-0",
  attempt: 1,
  step: 12,
  total_steps: 80,
  last_loss: 3.41,
  losses: [4, 3.41],
  tokens_per_second: 412,
  eta_seconds: 95,
  queue_position: null,
  queue_reason: null,
  starts_at: null,
  stop_kind: null,
  stop_requested: false,
  checkpoint_step: null,
  checkpoint_requested: false,
  error: null,
  peak_gpu_bytes: null,
  created_at: "2026-11-26T12:00:00Z",
  started_at: "2026-11-26T12:01:00Z",
  finished_at: null,
};

describe("the view in the address", () => {
  it("is the same after writing and reading", () => {
    const view = { statuses: ["running", "failed"] as const, search: "warm", sort: "name", page: 3 };
    const query = new URLSearchParams(writeView({ ...view, statuses: [...view.statuses] }) as Record<string, string>);
    expect(readView(query)).toEqual(view);
  });

  it("is short if nothing is chosen", () => {
    const view = readView(new URLSearchParams());
    expect(view).toEqual({ statuses: [], search: "", sort: "-created_at", page: 1 });
    expect(Object.values(writeView(view)).every((value) => value === null)).toBe(true);
    expect(isFiltered(view)).toBe(false);
  });

  it("ignores invalid values", () => {
    const view = readView(new URLSearchParams("status=running,odd&sort=-colour&page=-2&search=%20"));
    expect(view).toEqual({ statuses: ["running"], search: " ", sort: "-created_at", page: 1 });
    expect(isFiltered({ ...view, statuses: [] })).toBe(false);
  });
});

describe("sorting by a heading", () => {
  it("begins with the most useful order", () => {
    expect(turnSort("-created_at", "last_loss")).toBe("last_loss");
    expect(turnSort("name", "finished_at")).toBe("-finished_at");
  });
  it("reverses at the second click", () => {
    expect(turnSort("last_loss", "last_loss")).toBe("-last_loss");
    expect(turnSort("-last_loss", "last_loss")).toBe("last_loss");
  });
  it("is announced to screen readers", () => {
    expect(readAriaSort("-name", "name")).toBe("descending");
    expect(readAriaSort("name", "name")).toBe("ascending");
    expect(readAriaSort("name", "status")).toBe("none");
  });
});

describe("the actions of a job", () => {
  it.each<[Partial<JobRow>, string[]]>([
    [{}, ["pause", "checkpoint", "cancel"]],
    [{ checkpoint_requested: true }, ["pause", "cancel"]],
    [{ stop_kind: "pause", stop_requested: true }, ["resume", "cancel"]],
    [{ stop_kind: "preempt", stop_requested: true }, ["pause", "cancel"]],
    [{ stop_kind: "cancel", stop_requested: true }, []],
    [{ status: "queued" }, ["pause", "cancel"]],
    [{ status: "paused" }, ["resume", "cancel"]],
    [{ status: "failed" }, []],
  ])("%j", (part, verbs) => expect(listVerbs({ ...ROW, ...part })).toEqual(verbs));
});

describe("the line under the status", () => {
  it.each<[Partial<JobRow>, string]>([
    [{}, "training on box-cuda-0"],
    [{ attempt: 2 }, "training on box-cuda-0, run 2"],
    [{ stop_kind: "pause", stop_requested: true }, "pausing …"],
    [{ checkpoint_requested: true }, "saving a checkpoint …"],
    [{ status: "queued", queue_reason: { code: "no_free_slot", message: "no slot is free" } }, "no slot is free"],
    [{ status: "paused", checkpoint_step: 1200 }, "at step 1,200"],
    [{ status: "paused" }, "before its first step"],
    [{ status: "failed", error: { code: "gpu_memory_full", message: "The GPU is full." } }, "The GPU is full."],
    [{ status: "succeeded" }, "on box-cuda-0"],
    [{ status: "cancelled", slot: null }, ""],
  ])("%j", (part, text) => expect(describeStatus({ ...ROW, ...part })).toBe(text));

  it("shows the place only for queued jobs", () => {
    expect(describePlace({ status: "queued", queue_position: 3 })).toBe("no. 3");
    expect(describePlace({ status: "queued", queue_position: null })).toBeUndefined();
    expect(describePlace({ status: "running", queue_position: 3 })).toBeUndefined();
  });
});

it("formats speed, duration and pages", () => {
  expect(formatSpeed(412.4)).toBe("412");
  expect(formatSpeed(48_250)).toBe("48.3 k");
  expect(formatSpeed(null)).toBe("–");
  expect([2, 1.23456, 1234.56, 0, null].map(formatLoss)).toEqual(["2.000", "1.235", "1235", "0", "–"]);
  expect([9.4, 599, 1447, 18_971].map(formatRoughly)).toEqual(["9 s", "9 min 59 s", "24 min", "5 h 16 min"]);
  expect(describeDuration(ROW, new Date("2026-11-26T12:03:00Z"))).toBe("2 min");
  expect(describeDuration({ ...ROW, finished_at: "2026-11-26T13:01:00Z" }, new Date())).toBe("1 h");
  expect(describeDuration({ started_at: null, finished_at: null }, new Date())).toBe("");
  const view = readView(new URLSearchParams("page=2"));
  expect(describePage(view, 50, 1203)).toBe("51–100 of 1,203");
  expect(describePage(view, 0, 3)).toBe("0 of 3");
});

describe("the slots in one line", () => {
  const make = (device: string, status: "idle" | "running" | "blocked" | "drained" | "away") => ({
    device,
    status,
    job: null,
  });
  it("counts GPU slots if there are any, and leaves out slots whose worker is away", () => {
    const slots = [make("cuda", "running"), make("cuda", "idle"), make("cuda", "away"), make("cpu", "running")];
    expect(describeSlots(slots)).toEqual({ name: "GPU slots", busyCount: 1, openCount: 2, note: "" });
  });
  it("counts CPU slots otherwise, and names the blocked and drained ones", () => {
    const slots = [make("cpu", "running"), make("cpu", "drained"), make("cpu", "blocked"), make("cuda", "away")];
    expect(describeSlots(slots)).toEqual({ name: "Slots", busyCount: 1, openCount: 1, note: "1 blocked, 1 drained" });
  });
});

it("knows which jobs have ended", () => {
  expect(hasEnded("cancelled")).toBe(true);
  expect(hasEnded("paused")).toBe(false);
});
