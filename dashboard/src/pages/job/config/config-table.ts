// Turns a job's config into a table: first the changed fields, then all fields in the groups of the new-job form.

import { findGroup, GROUPS } from "../../../lib/config-fields";

export interface ConfigRow {
  name: string;
  value: string;
  /** The default, if the job has another value. */
  instead: string | null;
  description: string;
}

export interface ConfigGroup {
  title: string;
  rows: ConfigRow[];
}

export function formatConfigValue(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(formatConfigValue).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Fields that are not in the document, for example those of an older release, come last. */
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
  const groups = ["Main" as const, ...GROUPS].map((group) => ({
    title: group,
    rows: rows.filter((row) => row.instead === null && findGroup(row.name) === group),
  }));
  const changed = { title: "Changed from the default", rows: rows.filter((row) => row.instead !== null) };
  return [changed, ...groups].filter((group) => group.rows.length > 0);
}
