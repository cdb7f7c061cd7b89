// Reads the hyperparameters of the form from the OpenAPI document, so that a new hyperparameter of the API becomes a
// new field of the form.

/** The part of a JSON schema that the fields of TrainConfig use. */
export interface FieldSchema {
  type?: string;
  enum?: string[];
  anyOf?: FieldSchema[];
  items?: FieldSchema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  default?: unknown;
  description?: string;
  title?: string;
}

export interface OpenApi {
  components: { schemas: Record<string, { properties?: Record<string, FieldSchema> }> };
}

export type FieldKind = "number" | "integer" | "boolean" | "enum" | "list";
export type ConfigValue = number | boolean | string | string[] | null;
export type Config = Record<string, ConfigValue>;

export interface Bounds {
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

export interface ConfigField extends Bounds {
  name: string;
  /** The name that the form shows: a plain one if there is one, otherwise the name of the schema. */
  label: string;
  /** The unit of a number that counts something. */
  unit: string;
  description: string;
  kind: FieldKind;
  isNullable: boolean;
  /** The possible values of an enum and of a list. */
  options: string[];
  default: ConfigValue;
  group: Group;
}

export const GROUPS = [
  "Emotion",
  "LoRA",
  "Batching",
  "Optimiser",
  "Checkpoints and evaluation",
  "Backend",
  "More",
] as const;
export type Group = (typeof GROUPS)[number] | "Main";

/** The most important fields, in the order of the form, in plain words. */
export const MAIN_FIELDS: Record<string, { label: string; unit: string; description: string }> = {
  epochs: {
    label: "Epochs",
    unit: "passes",
    description: "How many times the training goes through the whole dataset.",
  },
  max_steps: {
    label: "Maximum steps",
    unit: "steps",
    description:
      "Ends the training after this many optimizer updates, even if the epochs are not complete. Empty: no limit.",
  },
  batch_size: {
    label: "Batch size",
    unit: "examples",
    description: "Examples that go through the model at once. A larger batch takes more memory.",
  },
  gradient_accumulation: {
    label: "Accumulation",
    unit: "batches",
    description: "Batches for each optimizer update. It makes an update larger without taking more memory.",
  },
  lora_learning_rate: {
    label: "Adapter learning rate",
    unit: "",
    description: "The peak rate, after the warm-up. A higher rate learns faster and forgets more.",
  },
  emotion_learning_rate: {
    label: "Emotion learning rate",
    unit: "",
    description: "The peak rate of the emotion projection, which starts at zero and can learn faster.",
  },
  lora_rank: {
    label: "LoRA rank",
    unit: "",
    description: "The size of the adapter. A higher rank holds more, and takes more memory and disk space.",
  },
  max_length: {
    label: "Longest example",
    unit: "tokens",
    description: "Longer examples are cut off. A higher limit takes more memory if the dataset has examples that long.",
  },
  load_in_4bit: {
    label: "Base model in 4 bits",
    unit: "",
    description:
      "The weights take a quarter of the memory, at a small loss of quality. Automatic: yes on a GPU, no on a CPU.",
  },
};

/** This field belongs to the validation section, not to the settings. */
export const VALIDATION_FIELD = "eval_fraction";

const UNITS: Record<string, string> = {
  sample_limit: "examples",
  eval_every: "steps",
  checkpoint_every: "steps",
  log_every: "steps",
};

const GROUP_BY_NAME: Record<string, Group> = {
  balance: "Emotion",
  batching: "Batching",
  group_by_length: "Batching",
  sample_limit: "Batching",
  auto_batch: "Batching",
  weight_decay: "Optimiser",
  warmup_ratio: "Optimiser",
  schedule: "Optimiser",
  max_grad_norm: "Optimiser",
  seed: "Optimiser",
  eval_fraction: "Checkpoints and evaluation",
  eval_every: "Checkpoints and evaluation",
  row_report: "Checkpoints and evaluation",
  checkpoint_every: "Checkpoints and evaluation",
  log_every: "Checkpoints and evaluation",
  backend: "Backend",
  acceleration: "Backend",
  dtype: "Backend",
  gradient_checkpointing: "Backend",
};

// The group of a hyperparameter that has not been assigned to one yet.
const GROUP_BY_WORD: [RegExp, Group][] = [
  [/^emotion_/, "Emotion"],
  [/^lora_/, "LoRA"],
  [/batch/, "Batching"],
  [/rate|decay|schedule|optimi[sz]er/, "Optimiser"],
  [/^(eval|checkpoint)_/, "Checkpoints and evaluation"],
];

export function findGroup(name: string): Group {
  if (name in MAIN_FIELDS) return "Main";
  return GROUP_BY_NAME[name] ?? GROUP_BY_WORD.find(([word]) => word.test(name))?.[1] ?? "More";
}

/**
 * Returns the fields of TrainConfig: the main ones first, in the order of the form, then the others in the order of the
 * schema.
 */
export function readConfigFields(document: OpenApi): ConfigField[] {
  const properties = document.components.schemas.TrainConfig?.properties ?? {};
  const fields = Object.entries(properties).flatMap(([name, schema]) => {
    const field = readField(name, schema);
    return field ? [field] : [];
  });
  const order = Object.keys(MAIN_FIELDS);
  const rank = (field: ConfigField) => (field.group === "Main" ? order.indexOf(field.name) : order.length);
  return fields.sort((one, other) => rank(one) - rank(other));
}

/** Returns undefined for a kind that a form can't show; such a field keeps its default. */
function readField(name: string, schema: FieldSchema): ConfigField | undefined {
  const choices = schema.anyOf ?? [schema];
  const own = choices.find((each) => each.type !== "null");
  const kind = own && findKind(own);
  if (!own || !kind) return undefined;
  const plain = MAIN_FIELDS[name];
  const bounds: Bounds = {};
  for (const key of ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] as const) {
    const bound = own[key];
    if (bound !== undefined) bounds[key] = bound;
  }
  return {
    name,
    label: plain?.label ?? humanize(name),
    unit: plain?.unit ?? UNITS[name] ?? "",
    description: plain?.description ?? schema.description ?? "",
    kind,
    isNullable: choices.some((each) => each.type === "null"),
    options: own.enum ?? own.items?.enum ?? [],
    default: (schema.default ?? null) as ConfigValue,
    group: findGroup(name),
    ...bounds,
  };
}

function findKind(schema: FieldSchema): FieldKind | undefined {
  if (schema.enum) return "enum";
  if (schema.type === "array") return schema.items?.enum ? "list" : undefined;
  if (schema.type === "number" || schema.type === "integer" || schema.type === "boolean") return schema.type;
  return undefined;
}

const ACRONYMS: Record<string, string> = { lora: "LoRA", gpu: "GPU", cpu: "CPU", "4bit": "4 bits" };

/** Turns `lora_dropout` into `LoRA dropout`. */
export function humanize(name: string): string {
  const words = name.split("_").map((word) => ACRONYMS[word] ?? word);
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns the fields that a search finds by name, label, description or options. */
export function searchFields(fields: ConfigField[], search: string): ConfigField[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return fields.filter((field) => {
    const text = `${field.name} ${field.label} ${field.description} ${field.options.join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
