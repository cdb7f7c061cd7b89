// The state of the new-job form: the typed and chosen values, what is wrong with them, and the request that they make.

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
  /** The drafts of the changed fields; the draft of a number is its typed text. All other fields follow the preset. */
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

/** Returns all values of a preset: its own, and the defaults for the rest. */
export function fillPreset(preset: Preset | undefined, fields: ConfigField[]): Config {
  const values: Config = {};
  for (const field of fields) {
    const own = preset?.config[field.name];
    values[field.name] = own === undefined ? field.default : (own as ConfigValue);
  }
  return values;
}

/** An empty field has the preset's value. */
function isEmpty(draft: ConfigValue): boolean {
  return typeof draft === "string" && draft.trim() === "";
}

/** Returns the current values of the form; a field with a wrong draft has the preset's value. */
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

/** Returns what is wrong with the typed values, by field. An empty field is not a problem. */
export function findProblems(form: JobForm, fields: ConfigField[]): Problems {
  const problems: Problems = {};
  for (const field of fields) {
    const draft = form.drafts[field.name];
    if (draft === undefined || (field.name === VALIDATION_FIELD && form.validation !== "share")) continue;
    if (isEmpty(draft) && field.name !== VALIDATION_FIELD) continue;
    const parsed = parseDraft(draft, field);
    if ("problem" in parsed) problems[field.name] = parsed.problem;
    else if (field.name === VALIDATION_FIELD && parsed.value === 0) problems[field.name] = "Enter a number above 0.";
  }
  const priority = form.priority.trim() ? parseNumber(form.priority, PRIORITY_BOUNDS) : { value: 0 };
  if ("problem" in priority) problems.priority = priority.problem;
  const timeout = form.timeout.trim() ? parseNumber(form.timeout, TIMEOUT_BOUNDS) : { value: 0 };
  if ("problem" in timeout) problems.timeout_seconds = timeout.problem;
  return problems;
}

/** Returns the choices that are still missing, by field. */
export function findMissing(form: JobForm): Problems {
  const missing: Problems = {};
  if (!form.datasetId) missing.dataset_id = "Choose a dataset.";
  if (form.validation === "dataset" && !form.validationDatasetId)
    missing.validation_dataset_id = "Choose a dataset to measure the loss on.";
  if (!form.baseModel) missing.base_model = "Choose a base model.";
  return missing;
}

/**
 * Returns the body of `POST /jobs`, with only those config fields that differ from the preset. The form must have no
 * problems.
 */
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

/** Returns the form with the fields that advice sets; a value that equals the preset's is no draft. */
export function applyChanges(form: JobForm, changes: Config, base: Config): JobForm {
  const drafts = { ...form.drafts };
  for (const [name, value] of Object.entries(changes)) {
    if (isSame(value, base[name])) delete drafts[name];
    else drafts[name] = typeof value === "number" ? formatValue(value) : value;
  }
  return { ...form, drafts };
}

/** Returns the names of the fields that differ from the preset. */
export function listChanged(form: JobForm, base: Config, fields: ConfigField[]): string[] {
  const values = readValues(form, base, fields);
  return fields
    .filter((field) => field.name !== VALIDATION_FIELD)
    .filter((field) => !isSame(values[field.name], base[field.name]))
    .map((field) => field.name);
}

/** Lists in words how the job of this form would differ from the original job, whose own form is given. */
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

/** Returns a form that would make the same job again, based on the preset that is nearest to it. */
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

/** Groups the API's problems by the fields of the form; problems of fields that are not shown have the empty name. */
export function sortProblems(problems: FieldProblem[], known: (name: string) => boolean): Record<string, string[]> {
  const sorted: Record<string, string[]> = {};
  for (const { field, message } of problems) {
    const path = (field ?? "").replace(/^(body\.)?config\./, "").split(".");
    const name = path[0] && known(path[0]) ? path[0] : "";
    sorted[name] = [...(sorted[name] ?? []), message];
  }
  return sorted;
}
