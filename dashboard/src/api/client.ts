// All requests to the API go through this module: it sends and reads JSON, adds the session's CSRF token to requests
// that change something, and throws every error as ApiError.

import type { ErrorBody } from "./types";

export interface FieldProblem {
  field: string | null;
  message: string;
}

/** An error answer of the API. `status` is 0 if there was no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly problems: FieldProblem[] = [],
    /** The report that POST /datasets returns for a dataset with bad lines. */
    readonly report: Record<string, unknown> | null = null,
  ) {
    super(message);
  }

  get isUnreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Turns anything that was caught into an ApiError. */
export function asError(caught: unknown): ApiError {
  return caught instanceof ApiError ? caught : new ApiError(0, "unreadable", String(caught));
}

let csrfToken: string | null = null;
let onUnauthorized: () => void = () => {};

/** The token is kept in memory only; `GET /session` returns it again after a reload. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Sets what the page does when the session has ended. */
export function setUnauthorizedHandler(handler: () => void): void {
  onUnauthorized = handler;
}

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

export function makeHeaders(method: Method): Record<string, string> {
  return method !== "GET" && csrfToken !== null ? { "X-CSRF-Token": csrfToken } : {};
}

/** Sends one request. Throws ApiError, and a DOMException "AbortError" if the signal was aborted. */
export async function send(
  method: Method,
  path: string,
  options: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal | undefined } = {},
): Promise<Response> {
  const headers = { ...makeHeaders(method), ...options.headers };
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server doesn't answer. This page tries again automatically.");
  }
  if (!response.ok && response.status !== 304) {
    throw readError(response.status, await response.text());
  }
  return response;
}

/** Sends one request and reads its JSON; returns `undefined` for 204. */
export async function request<T>(
  method: Method,
  path: string,
  options: { body?: unknown; signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const response = await send(method, path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/**
 * Reads the error from a response body, even if a proxy has replaced it. Reports the end of the session to the page.
 */
export function readError(status: number, text: string): ApiError {
  const error = parseError(status, text);
  if (status === 401) onUnauthorized();
  return error;
}

function parseError(status: number, text: string): ApiError {
  let body: ErrorBody;
  try {
    body = JSON.parse(text) as ErrorBody;
    if (!body.error) throw new SyntaxError("no error in it");
  } catch {
    return new ApiError(status, "unreadable", `The server answered ${status} with a body that this page can't read.`);
  }
  const { code, message, field, details } = body.error;
  const problems = details?.length ? details : field ? [{ field, message }] : [];
  return new ApiError(
    status,
    code,
    message,
    problems.map((each) => ({ field: each.field ?? null, message: each.message })),
    (body.report as Record<string, unknown> | null | undefined) ?? null,
  );
}

/** Makes a query string and leaves out empty values; a list repeats its name. */
export function makeQuery(
  values: Record<string, string | number | boolean | null | undefined | readonly string[]>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  }
  const text = query.toString();
  return text ? `?${text}` : "";
}
