import { describe, expect, it } from "vitest";
import type { Job } from "../../api/types";
import { type OpenApi, readConfigFields } from "../../lib/config-fields";
import {
  applyChanges,
  copyJob,
  EMPTY_FORM,
  fillPreset,
  findMissing,
  findProblems,
  type JobForm,
  listChanged,
  listDifferences,
  makeBody,
  type Preset,
  readValues,
  sortProblems,
} from "./job-form";

const DOCUMENT: OpenApi = {
  components: {
    schemas: {
      TrainConfig: {
        properties: {
          epochs: { type: "number", exclusiveMinimum: 0, maximum: 1000, default: 4 },
          max_steps: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] },
          lora_rank: { type: "integer", minimum: 1, maximum: 1024, default: 32 },
          eval_fraction: { type: "number", minimum: 0, maximum: 0.5, default: 0 },
          schedule: { type: "string", enum: ["linear", "cosine"], default: "linear" },
        },
      },
    },
  },
};
const FIELDS = readConfigFields(DOCUMENT);
const DEFAULT: Preset = { name: "default", description: "", config: {} };
const ORIGINAL: Preset = { name: "original", description: "", config: { epochs: 2, schedule: "cosine" } };
const BASE = fillPreset(DEFAULT, FIELDS);
const FILLED: JobForm = { ...EMPTY_FORM, datasetId: "ds_1", baseModel: "gemma" };

function makeJob(changes: Partial<Job>): Job {
  return {
    id: "job_1",
    name: "warm",
    base_model: "gemma",
    dataset: { id: "ds_1", name: "chats", sha256: "" },
    validation_dataset: null,
    config: BASE,
    priority: 0,
    priority_class: "normal",
    timeout_seconds: null,
    ...changes,
  } as Job;
}

describe("makeBody", () => {
  it("sends only the config fields that differ from the preset", () => {
    expect(makeBody(FILLED, BASE, FIELDS)).toEqual({ dataset_id: "ds_1", base_model: "gemma" });
    const form = { ...FILLED, drafts: { epochs: "4.0", lora_rank: "16", max_steps: "1e2" } };
    expect(makeBody(form, BASE, FIELDS).config).toEqual({ lora_rank: 16, max_steps: 100 });
  });
  it("applies changes to the chosen preset", () => {
    const base = fillPreset(ORIGINAL, FIELDS);
    const body = makeBody({ ...FILLED, preset: "original", drafts: { epochs: "4" } }, base, FIELDS);
    expect(body).toMatchObject({ preset: "original", config: { epochs: 4 } });
  });
  it("sends only one kind of validation", () => {
    const form = { ...FILLED, validationDatasetId: "ds_2", drafts: { eval_fraction: "0.2" } };
    expect(makeBody({ ...form, validation: "none" }, BASE, FIELDS)).not.toHaveProperty("config");
    expect(makeBody({ ...form, validation: "share" }, BASE, FIELDS).config).toEqual({ eval_fraction: 0.2 });
    const other = makeBody({ ...form, validation: "dataset" }, BASE, FIELDS);
    expect(other.validation_dataset_id).toBe("ds_2");
    expect(other).not.toHaveProperty("config");
  });
  it("converts the time limit to seconds, and leaves out default values", () => {
    const form: JobForm = { ...FILLED, name: " warm ", priority: "5", priorityClass: "low", timeout: "1.5" };
    expect(makeBody(form, BASE, FIELDS)).toMatchObject({
      name: "warm",
      priority: 5,
      priority_class: "low",
      timeout_seconds: 5400,
    });
  });
});

it("names wrong and missing fields as the request does", () => {
  const form: JobForm = { ...EMPTY_FORM, drafts: { epochs: "0", lora_rank: "x" }, priority: "1000", timeout: "-1" };
  expect(Object.keys(findProblems(form, FIELDS))).toEqual(["epochs", "lora_rank", "priority", "timeout_seconds"]);
  expect(Object.keys(findMissing({ ...form, validation: "dataset" }))).toEqual([
    "dataset_id",
    "validation_dataset_id",
    "base_model",
  ]);
  expect(findMissing(FILLED)).toEqual({});
});

it("treats an empty field as the preset's value", () => {
  const form: JobForm = { ...FILLED, drafts: { epochs: " ", max_steps: "" } };
  expect(findProblems(form, FIELDS)).toEqual({});
  expect(makeBody(form, BASE, FIELDS)).not.toHaveProperty("config");
});

it("refuses a held-out share of zero", () => {
  const form: JobForm = { ...FILLED, validation: "share", drafts: { eval_fraction: "0" } };
  expect(findProblems(form, FIELDS)).toEqual({ eval_fraction: "Enter a number above 0." });
  expect(findProblems({ ...form, validation: "none" }, FIELDS)).toEqual({});
});

it("applies advice, and doesn't count a preset's own value as a change", () => {
  const form = applyChanges({ ...FILLED, drafts: { epochs: "9" } }, { epochs: 4, lora_rank: 8 }, BASE);
  expect(form.drafts).toEqual({ lora_rank: "8" });
  expect(listChanged(form, BASE, FIELDS)).toEqual(["lora_rank"]);
});

describe("copyJob", () => {
  it("makes the same job, as changes to the nearest preset", () => {
    const config = { epochs: 3, max_steps: null, lora_rank: 32, eval_fraction: 0.1, schedule: "cosine" };
    const form = copyJob(makeJob({ config, priority: 2, timeout_seconds: 7200 }), [DEFAULT, ORIGINAL], FIELDS);
    expect(form).toMatchObject({ preset: "original", validation: "share", name: "warm (copy)", timeout: "2" });
    const body = makeBody(form, fillPreset(ORIGINAL, FIELDS), FIELDS);
    expect(body).toMatchObject({ config: { epochs: 3, eval_fraction: 0.1 }, priority: 2, timeout_seconds: 7200 });
  });
  it("accepts jobs of other releases, with removed or missing fields", () => {
    const form = copyJob(makeJob({ config: { epochs: 4, of_old: 1 } }), [DEFAULT, ORIGINAL], FIELDS);
    expect(form.preset).toBe("default");
    expect(form.drafts).toEqual({});
  });
  it("keeps a validation dataset and an unusual time limit", () => {
    const validation_dataset = { id: "ds_2", name: "held", sha256: "" };
    const form = copyJob(makeJob({ validation_dataset, timeout_seconds: 90 }), [DEFAULT], FIELDS);
    expect(form).toMatchObject({
      validation: "dataset",
      validationDatasetId: "ds_2",
      timeout: "1.5",
      timeoutUnit: "minutes",
    });
  });
});

it("lists the differences between a copy and its original", () => {
  const job = makeJob({ config: { ...BASE, eval_fraction: 0.1 }, timeout_seconds: 3600 });
  const form = copyJob(job, [DEFAULT], FIELDS);
  const original = { form, config: job.config };
  const list = (changed: JobForm) => listDifferences(changed, readValues(changed, BASE, FIELDS), original, FIELDS);
  expect(list(form)).toEqual([]);
  expect(list({ ...form, timeout: "60", timeoutUnit: "minutes" })).toEqual([]);
  const changed = { ...form, baseModel: "other", drafts: { ...form.drafts, epochs: "7" }, priority: "1" };
  expect(list(changed)).toEqual(["base model", "epochs", "priority"]);
  expect(list({ ...form, validation: "none" })).toEqual(["validation"]);
  expect(list({ ...form, drafts: { eval_fraction: "0.2" } })).toEqual(["eval_fraction"]);
});

it("groups the server's problems by the fields of the form", () => {
  const problems = [
    { field: "config.lora_rank", message: "too small" },
    { field: "config.lora_modules.2", message: "unknown" },
    { field: "config", message: "would not fit" },
    { field: null, message: "no" },
  ];
  expect(sortProblems(problems, (name) => name.startsWith("lora"))).toEqual({
    lora_rank: ["too small"],
    lora_modules: ["unknown"],
    "": ["would not fit", "no"],
  });
});
