// A job that is being filled in: what was typed and chosen, what is wrong with it, and the request that it makes.

import type { FieldProblem } from "../../api/client";
import type { Job, JobCreate } from "../../api/types";
import { type Config, type ConfigField, type ConfigValue, VALIDATION_FIELD } from "../../lib/config-fields";
import { findDifferences, formatValue, isSame, parseDraft, parseNumber } from "./config/config-values";

export interface Preset {
  name: string;
  description: string;
  config: Record<string, unknown>;
}

export type Validation = "none" | "share" | "dataset";
export const TIME_UNITS = { minutes: 60, hours: 3600, days: 86_400 } as const;
export type TimeUnit = keyof typeof TIME_UNITS;

export interface JobForm {
  datasetId: string;
  validation: Validation;
  validationDatasetId: string;
  baseModel: string;
  preset: string;
  /** What was touched, by field: numbers as they were typed. The others follow the preset. */
  drafts: Record<string, ConfigValue>;
  name: string;
  priority: string;
  priorityClass: string;
  timeout: string;
  timeoutUnit: TimeUnit;
}

export const EMPTY_FORM: JobForm = {
  datasetId: "",
  validation: "none",
  validationDatasetId: "",
  baseModel: "",
  preset: "default",
  drafts: {},
  name: "",
  priority: "",
  priorityClass: "normal",
  timeout: "",
  timeoutUnit: "hours",
};

export const DEFAULT_SHARE = "0.1";
const PRIORITY_BOUNDS = { kind: "integer", minimum: -100, maximum: 100 };
const TIMEOUT_BOUNDS = { kind: "number", exclusiveMinimum: 0 };

export type Problems = Record<string, string>;

/** All values of a preset: what it says, over the defaults. */
export function fillPreset(preset: Preset | undefined, fields: ConfigField[]): Config {
  const values: Config = {};
  for (const field of fields) {
    const own = preset?.config[field.name];
    values[field.name] = own === undefined ? field.default : (own as ConfigValue);
  }
  return values;
}

/** An emptied field has the preset's value. */
function isEmpty(draft: ConfigValue): boolean {
  return typeof draft === "string" && draft.trim() === "";
}

/** The values that the form stands for; where a draft is wrong, the preset's. */
export function readValues(form: JobForm, base: Config, fields: ConfigField[]): Config {
  const values: Config = { ...base };
  for (const field of fields) {
    const draft = form.drafts[field.name];
    if (draft === undefined || isEmpty(draft)) continue;
    const parsed = parseDraft(draft, field);
    if ("value" in parsed) values[field.name] = parsed.value;
  }
  if (form.validation !== "share" && VALIDATION_FIELD in values) values[VALIDATION_FIELD] = 0;
  return values;
}

/** What is wrong with what was typed, by field. What is merely missing yet is no problem. */
export function findProblems(form: JobForm, fields: ConfigField[]): Problems {
  const problems: Problems = {};
  for (const field of fields) {
    const draft = form.drafts[field.name];
    if (draft === undefined || (field.name === VALIDATION_FIELD && form.validation !== "share")) continue;
    if (isEmpty(draft) && field.name !== VALIDATION_FIELD) continue;
    const parsed = parseDraft(draft, field);
    if ("problem" in parsed) problems[field.name] = parsed.problem;
    else if (field.name === VALIDATION_FIELD && parsed.value === 0) problems[field.name] = "This has to be above 0.";
  }
  const priority = form.priority.trim() ? parseNumber(form.priority, PRIORITY_BOUNDS) : { value: 0 };
  if ("problem" in priority) problems.priority = priority.problem;
  const timeout = form.timeout.trim() ? parseNumber(form.timeout, TIMEOUT_BOUNDS) : { value: 0 };
  if ("problem" in timeout) problems.timeout_seconds = timeout.problem;
  return problems;
}

/** What has to be chosen still, as fields and words. */
export function findMissing(form: JobForm): Problems {
  const missing: Problems = {};
  if (!form.datasetId) missing.dataset_id = "Choose a dataset.";
  if (form.validation === "dataset" && !form.validationDatasetId)
    missing.validation_dataset_id = "Choose a dataset to measure the loss on.";
  if (!form.baseModel) missing.base_model = "Choose a base model.";
  return missing;
}

/** The body of `POST /jobs`: of the config only what differs from the preset. For a form without problems. */
export function makeBody(form: JobForm, base: Config, fields: ConfigField[]): JobCreate {
  const config = findDifferences(readValues(form, base, fields), base, fields);
  const body: Record<string, unknown> = { dataset_id: form.datasetId, base_model: form.baseModel };
  if (form.validation === "dataset") body.validation_dataset_id = form.validationDatasetId;
  if (form.preset !== "default") body.preset = form.preset;
  if (Object.keys(config).length) body.config = config;
  if (form.name.trim()) body.name = form.name.trim();
  const priority = Number(form.priority.trim() || "0");
  if (priority) body.priority = priority;
  if (form.priorityClass !== "normal") body.priority_class = form.priorityClass;
  if (form.timeout.trim()) body.timeout_seconds = Number(form.timeout.trim()) * TIME_UNITS[form.timeoutUnit];
  return body as JobCreate;
}

/** The form with fields set as advice says; a value that is the preset's is no draft. */
export function applyChanges(form: JobForm, changes: Config, base: Config): JobForm {
  const drafts = { ...form.drafts };
  for (const [name, value] of Object.entries(changes)) {
    if (isSame(value, base[name])) delete drafts[name];
    else drafts[name] = typeof value === "number" ? formatValue(value) : value;
  }
  return { ...form, drafts };
}

/** The names of fields that stand otherwise than in the preset. */
export function listChanged(form: JobForm, base: Config, fields: ConfigField[]): string[] {
  const values = readValues(form, base, fields);
  return fields
    .filter((field) => field.name !== VALIDATION_FIELD)
    .filter((field) => !isSame(values[field.name], base[field.name]))
    .map((field) => field.name);
}

/** In what a form would make another job than the original, which its own form stands for, in words. */
export function listDifferences(
  form: JobForm,
  values: Config,
  original: { form: JobForm; config: Record<string, unknown> },
  fields: ConfigField[],
): string[] {
  const was = original.form;
  const names: string[] = [];
  if (form.datasetId !== was.datasetId) names.push("dataset");
  const isOtherValidation = form.validation === "dataset" && form.validationDatasetId !== was.validationDatasetId;
  if (form.validation !== was.validation || isOtherValidation) names.push("validation");
  if (form.baseModel !== was.baseModel) names.push("base model");
  for (const field of fields) {
    if (!(field.name in original.config)) continue;
    const isCovered = field.name === VALIDATION_FIELD && names.includes("validation");
    if (!isCovered && !isSame(values[field.name], original.config[field.name] as ConfigValue)) names.push(field.name);
  }
  if (form.priorityClass !== was.priorityClass) names.push("class");
  if (Number(form.priority) !== Number(was.priority)) names.push("priority");
  const seconds = (each: JobForm) => Number(each.timeout) * TIME_UNITS[each.timeoutUnit];
  if (seconds(form) !== seconds(was)) names.push("time limit");
  return names;
}

/** A form that would make the same job again, on the preset that is nearest to it. */
export function copyJob(job: Job, presets: Preset[], fields: ConfigField[]): JobForm {
  const candidates = presets.map((preset) => {
    const base = fillPreset(preset, fields);
    return { preset: preset.name, base, changes: findDifferences(job.config, base, fields) };
  });
  const size = (changes: Config) => Object.keys(changes).length;
  candidates.sort((one, other) => size(one.changes) - size(other.changes));
  const nearest = candidates[0] ?? { preset: "default", base: {}, changes: {} };
  const share = job.config[VALIDATION_FIELD];
  const timeout = splitSeconds(job.timeout_seconds);
  const form: JobForm = {
    ...EMPTY_FORM,
    datasetId: job.dataset.id,
    validation: job.validation_dataset ? "dataset" : typeof share === "number" && share > 0 ? "share" : "none",
    validationDatasetId: job.validation_dataset?.id ?? "",
    baseModel: job.base_model,
    preset: nearest.preset,
    name: `${job.name} (copy)`.slice(0, 200),
    priority: job.priority ? String(job.priority) : "",
    priorityClass: job.priority_class,
    timeout: timeout.text,
    timeoutUnit: timeout.unit,
  };
  return applyChanges(form, nearest.changes, nearest.base);
}

function splitSeconds(seconds: number | null): { text: string; unit: TimeUnit } {
  if (seconds === null) return { text: "", unit: "hours" };
  const unit = (["days", "hours"] as const).find((each) => seconds % TIME_UNITS[each] === 0) ?? "minutes";
  return { text: String(Number((seconds / TIME_UNITS[unit]).toPrecision(12))), unit };
}

/** The API's problems by the form's fields; those of no field that is shown come under the empty name. */
export function sortProblems(problems: FieldProblem[], known: (name: string) => boolean): Record<string, string[]> {
  const sorted: Record<string, string[]> = {};
  for (const { field, message } of problems) {
    const path = (field ?? "").replace(/^(body\.)?config\./, "").split(".");
    const name = path[0] && known(path[0]) ? path[0] : "";
    sorted[name] = [...(sorted[name] ?? []), message];
  }
  return sorted;
}
