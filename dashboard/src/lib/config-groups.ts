// A job's config as a table: what was changed first, then all by what it is about.

export interface ConfigRow {
  name: string;
  value: string;
  /** The default, where the job has another value. */
  instead: string | null;
  description: string;
}

export interface ConfigGroup {
  title: string;
  rows: ConfigRow[];
}

const GROUPS: readonly (readonly [title: string, names: readonly string[]])[] = [
  [
    "Course",
    ["epochs", "max_steps", "batch_size", "gradient_accumulation", "max_length", "batching", "group_by_length", "seed"],
  ],
  ["Data and evaluation", ["sample_limit", "balance", "eval_fraction", "eval_every", "row_report"]],
  [
    "Rates",
    ["lora_learning_rate", "emotion_learning_rate", "schedule", "warmup_ratio", "weight_decay", "max_grad_norm"],
  ],
  ["Adapter", ["lora_rank", "lora_alpha", "lora_dropout", "lora_modules"]],
  ["Emotion", ["emotion_scale", "emotion_span", "emotion_centered", "emotion_init"]],
];
const REST = "Machine";

export function formatConfigValue(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(formatConfigValue).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Fields that the document doesn't know, as of an older release, come last. */
export function groupConfig(
  config: Record<string, unknown>,
  docs: readonly { name: string; default: unknown; description: string }[],
): ConfigGroup[] {
  const known = new Map(docs.map((doc) => [doc.name, doc]));
  const rows = [...new Set([...known.keys(), ...Object.keys(config)])]
    .filter((name) => name in config)
    .map((name): ConfigRow => {
      const doc = known.get(name);
      const isChanged = doc !== undefined && JSON.stringify(doc.default) !== JSON.stringify(config[name]);
      return {
        name,
        value: formatConfigValue(config[name]),
        instead: isChanged ? formatConfigValue(doc.default) : null,
        description: doc?.description ?? "",
      };
    });
  const title = new Map(GROUPS.flatMap(([group, names]) => names.map((name) => [name, group] as const)));
  const groups = [...GROUPS.map(([group]) => group), REST].map((group) => ({
    title: group,
    rows: rows.filter((row) => row.instead === null && (title.get(row.name) ?? REST) === group),
  }));
  const changed = { title: "Other than the default", rows: rows.filter((row) => row.instead !== null) };
  return [changed, ...groups].filter((group) => group.rows.length > 0);
}
