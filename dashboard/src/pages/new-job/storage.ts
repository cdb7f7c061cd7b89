// A form that is not posted yet survives a reload of the page, in this tab alone.

import type { JobForm } from "./job-form";

const KEY = "emotune-new-job";

/** The last request that was sent, and its Idempotency-Key: the same one again makes no second job. */
export interface SentRequest {
  key: string;
  body: string;
}

export interface SavedForm {
  /** Whose form, and what it began from: another beginning is another form. */
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
    // Without room for it the form is lost by a reload, and by nothing else.
  }
}

export function forget(): void {
  window.sessionStorage.removeItem(KEY);
}

/** A random UUID. `crypto.randomUUID` is there on https only, and this page is often served on plain http. */
export function makeUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
