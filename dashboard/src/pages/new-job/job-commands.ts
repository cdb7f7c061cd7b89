// Turns the request of the form into shell commands, so that a script can do what the page does.

import type { JobCreate } from "../../api/types";

/** Quotes one word for a POSIX shell if that is necessary. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function makeCurl(origin: string, body: JobCreate, idempotencyKey: string): string {
  return [
    `curl ${quote(`${origin}/jobs`)}`,
    '-H "Authorization: Bearer $EMOTUNE_API_KEY"',
    "-H 'Content-Type: application/json'",
    `-H 'Idempotency-Key: ${idempotencyKey}'`,
    `-d ${quote(JSON.stringify(body))}`,
  ].join(" \\\n  ");
}

/** `emotune submit` reads EMOTUNE_URL and EMOTUNE_API_KEY from the environment. */
export function makeSubmit(origin: string, body: JobCreate): string {
  const words = [`EMOTUNE_URL=${quote(origin)} emotune submit ${quote(body.dataset_id)}`];
  const add = (flag: string, value: string | number | null | undefined) => {
    // A value that begins with a dash would be read as a flag.
    if (value !== null && value !== undefined && value !== "") words.push(`${flag}=${quote(String(value))}`);
  };
  add("--model", body.base_model);
  add("--validation", body.validation_dataset_id);
  add("--preset", body.preset);
  for (const [name, value] of Object.entries(body.config ?? {})) add("--set", `${name}=${formatJson(value)}`);
  add("--name", body.name);
  add("--priority", body.priority);
  add("--priority-class", body.priority_class);
  add("--timeout", body.timeout_seconds);
  return words.join(" \\\n  ");
}

/** Plain words stay unquoted; the command reads other values as JSON. */
function formatJson(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
