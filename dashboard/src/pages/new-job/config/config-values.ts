// Parses what people type for a hyperparameter.

import type { Bounds, Config, ConfigField, ConfigValue } from "../../../lib/config-fields";

export type Parsed = { value: ConfigValue } | { problem: string };

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Parses a number as it is typed, such as `2e-4`, or returns what is wrong with it. */
export function parseNumber(text: string, bounds: Bounds & { kind: string }): { value: number } | { problem: string } {
  const typed = text.trim();
  if (/^[+-]?\d+,\d+$/.test(typed)) {
    const [whole, rest] = typed.split(",") as [string, string];
    return rest.length === 3 && whole !== "0" && whole.replace(/^[+-]/, "").length <= 3
      ? { problem: `Is that ${whole}${rest} or ${whole}.${rest}? Write it without the comma.` }
      : { problem: `Write decimals with a point: ${whole}.${rest}` };
  }
  if (typed === "") return { problem: "Enter a number." };
  if (!NUMBER.test(typed)) return { problem: `“${typed}” is not a number. Write it as 0.0002 or 2e-4.` };
  const value = Number(typed);
  if (!Number.isFinite(value)) return { problem: "This number is too large." };
  if (bounds.kind === "integer" && !Number.isInteger(value)) return { problem: "Enter a whole number." };
  const problem = checkBounds(value, bounds);
  return problem ? { problem } : { value };
}

function checkBounds(value: number, bounds: Bounds): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = bounds;
  if (minimum !== undefined && value < minimum) return `Enter a number of at least ${formatValue(minimum)}.`;
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    return `Enter a number above ${formatValue(exclusiveMinimum)}.`;
  if (maximum !== undefined && value > maximum) return `Enter a number of at most ${formatValue(maximum)}.`;
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum)
    return `Enter a number below ${formatValue(exclusiveMaximum)}.`;
  return "";
}

/** Returns the value of a draft: the draft of a number is its typed text, any other draft is the value itself. */
export function parseDraft(draft: ConfigValue, field: ConfigField): Parsed {
  if (field.kind === "number" || field.kind === "integer") {
    return typeof draft === "string" ? parseNumber(draft, field) : { value: draft };
  }
  if (field.kind === "list" && Array.isArray(draft) && draft.length === 0) return { problem: "Choose at least one." };
  return { value: draft };
}

/** Formats a value as it is shown, and as it can be typed. */
export function formatValue(value: ConfigValue | undefined): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** Describes a value in a sentence; `no limit` and similar values have no typed form. */
export function describeValue(value: ConfigValue | undefined, field: ConfigField): string {
  if (value === null || value === undefined) return field.kind === "boolean" ? "automatic" : "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (Array.isArray(value)) return value.length === field.options.length ? "all" : value.join(", ");
  const unit = value === 1 ? field.unit.replace(/(?<=ss|ch)es$|s$/, "") : field.unit;
  return `${formatValue(value)}${unit ? ` ${unit}` : ""}`;
}

export function isSame(one: ConfigValue | undefined, other: ConfigValue | undefined): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each) => other.includes(each));
  }
  return (one ?? null) === (other ?? null);
}

/** Returns the known fields in which `config` differs from `base`. */
export function findDifferences(config: Record<string, unknown>, base: Config, fields: ConfigField[]): Config {
  const found: Config = {};
  for (const field of fields) {
    if (!(field.name in config)) continue;
    const value = config[field.name] as ConfigValue;
    if (!isSame(value, base[field.name])) found[field.name] = value;
  }
  return found;
}
