// Keeps a form that is not posted yet over a reload of the page, in this tab only.

import type { JobForm } from "./job-form";

const KEY = "emotune-new-job";

/** The last request that was sent, with its Idempotency-Key: the same request with the same key makes no second job. */
export interface SentRequest {
  key: string;
  body: string;
}

export interface SavedForm {
  /** Identifies the team and the start of the form; a form with another start is another form. */
  seed: string;
  form: JobForm;
  sent: SentRequest | null;
}

export function readSaved(seed: string): SavedForm | null {
  try {
    const saved = JSON.parse(window.sessionStorage.getItem(KEY) ?? "null") as SavedForm | null;
    return saved?.seed === seed ? saved : null;
  } catch {
    return null;
  }
}

export function save(saved: SavedForm): void {
  try {
    window.sessionStorage.setItem(KEY, JSON.stringify(saved));
  } catch {
    // If the browser has no space for it, only a reload loses the form.
  }
}

export function forget(): void {
  window.sessionStorage.removeItem(KEY);
}

/** Returns a random UUID. `crypto.randomUUID` exists only on https, but this page is often served on plain http. */
export function makeUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
