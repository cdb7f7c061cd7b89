// Sends a file to the API and reports the progress. It uses XMLHttpRequest, because fetch reports no upload progress.

import { ApiError, type Method, makeHeaders, makeQuery, readError, request } from "../api/client";
import type { Dataset } from "../api/types";
import { forgetUpload, recallUpload, rememberUpload } from "./remembered";
import type { Report, Upload } from "./report-types";
import { listMissingParts, type Part, pauseAfter, planParts } from "./transfer";

/** A file larger than this is sent in parts, so that a lost connection costs only one part. */
export const WHOLE_BYTES = 64 * 1024 ** 2;
const PART_BYTES = 8 * 1024 ** 2;

export interface SendOptions {
  name: string;
  axes: string | null;
  mapping: string | null;
  signal: AbortSignal;
  onProgress: (sentBytes: number) => void;
  /** Called when everything has been sent and the API reads the file. */
  onChecking: () => void;
  /** Called with the error when the connection is lost and will be retried; with null when it is back. */
  onWaiting: (error: ApiError | null) => void;
}

/** Uploads a file. Throws ApiError, with the report if the file was refused, and DOMException "AbortError". */
export function sendDataset(file: Blob, options: SendOptions): Promise<Dataset> {
  return file.size > WHOLE_BYTES ? sendInParts(file, options) : sendWhole<Dataset>("/datasets", file, options);
}

/** Returns the report that an upload would get; nothing is stored. */
export function checkDataset(file: Blob, options: SendOptions): Promise<Report> {
  return sendWhole<Report>("/datasets:validate", file, { ...options, name: "" });
}

function sendWhole<T>(path: string, file: Blob, options: SendOptions): Promise<T> {
  const { name, axes, mapping } = options;
  return sendBody<T>("POST", path + makeQuery({ name, axes, mapping }), file, options);
}

async function sendInParts(file: Blob, options: SendOptions): Promise<Dataset> {
  const upload = await persist(options, () => beginUpload(file, options));
  rememberUpload(file, options, upload.id);
  const parts = planParts(file.size, PART_BYTES);
  const missing = listMissingParts(parts, upload.parts);
  let done = file.size - missing.reduce((sum, part) => sum + part.end - part.start, 0);
  options.onProgress(done);
  try {
    for (const part of missing) {
      const base = done;
      await persist(options, () =>
        sendPart(upload.id, part, file, { ...options, onProgress: (sent) => options.onProgress(base + sent) }),
      );
      done += part.end - part.start;
    }
    options.onChecking();
    // Repeating this call is safe: it returns the same dataset each time.
    return await persist(options, () =>
      request<Dataset>("POST", `/uploads/${upload.id}/complete`, { signal: options.signal }),
    );
  } catch (error) {
    // The upload was refused or cancelled, and its parts would take space from the team's next uploads.
    void request("DELETE", `/uploads/${upload.id}`).catch(() => {});
    throw error;
  } finally {
    forgetUpload(file, options);
  }
}

/** Resumes the upload that this file had begun before a reload of the page, or begins a new one. */
async function beginUpload(file: Blob, { name, axes, mapping, signal }: SendOptions): Promise<Upload> {
  const known = recallUpload(file, { name, axes, mapping });
  if (known) {
    try {
      const upload = await request<Upload>("GET", `/uploads/${known}`, { signal });
      if (upload.dataset_id === null && upload.size_bytes === file.size) return upload;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  return request<Upload>("POST", "/uploads", { body: { name, axes, mapping, size_bytes: file.size }, signal });
}

async function sendPart(uploadId: string, part: Part, file: Blob, options: SendOptions): Promise<void> {
  const slice = file.slice(part.start, part.end);
  const headers = await digest(slice);
  await sendBody(
    "PUT",
    `/uploads/${uploadId}/parts/${part.number}`,
    slice,
    { ...options, onChecking: () => {} },
    headers,
  );
}

/** Browsers offer digests only to pages on https or localhost; otherwise the part is sent without one. */
async function digest(slice: Blob): Promise<Record<string, string>> {
  if (!window.isSecureContext) return {};
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await slice.arrayBuffer()));
  return { "Content-Digest": `sha-256=:${btoa(String.fromCharCode(...bytes))}:` };
}

/** Retries while the connection is lost, until the action succeeds or is cancelled. */
async function persist<T>({ signal, onWaiting }: SendOptions, act: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      const answer = await act();
      if (failures) onWaiting(null);
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError) || !(error.isUnreachable || error.code === "digest_mismatch")) throw error;
      failures += 1;
      onWaiting(error);
      await wait(pauseAfter(failures), signal);
    }
  }
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      window.clearTimeout(timer);
      window.removeEventListener("online", go);
      reject(makeAbort());
    };
    const go = () => {
      window.clearTimeout(timer);
      window.removeEventListener("online", go);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const timer = window.setTimeout(go, milliseconds);
    window.addEventListener("online", go);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}

function makeAbort(): DOMException {
  return new DOMException("The upload was cancelled.", "AbortError");
}

function sendBody<T>(
  method: Method,
  path: string,
  body: Blob,
  { signal, onProgress, onChecking }: SendOptions,
  headers: Record<string, string> = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(makeAbort());
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    const end = (act: () => void) => {
      signal.removeEventListener("abort", stop);
      act();
    };
    xhr.open(method, path);
    const all = { ...makeHeaders(method), "Content-Type": "application/octet-stream", ...headers };
    for (const [name, value] of Object.entries(all)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => onProgress(event.loaded);
    xhr.upload.onload = () => {
      onProgress(body.size);
      onChecking();
    };
    xhr.onload = () =>
      end(() => {
        if (xhr.status < 200 || xhr.status >= 300) return reject(readError(xhr.status, xhr.responseText));
        resolve(JSON.parse(xhr.responseText) as T);
      });
    xhr.onerror = () =>
      end(() => reject(new ApiError(0, "unreachable", "The connection was lost, or the file can no longer be read.")));
    xhr.onabort = () => end(() => reject(makeAbort()));
    signal.addEventListener("abort", stop, { once: true });
    xhr.send(body);
  });
}
