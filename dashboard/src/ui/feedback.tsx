// What a page shows while it is loading, if it is empty, and after an error.

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import { Icon, type IconName } from "./icons";
import "./feedback.css";

export function ErrorBox({ error, children }: { error: ApiError; children?: ComponentChildren }) {
  return (
    <div class="notice failed" role="alert">
      <Icon name="alert" />
      <div>
        <strong>{error.isUnreachable ? "No connection" : "That didn't work"}</strong>
        <p>{error.message}</p>
        {children}
      </div>
    </div>
  );
}

/** Lies over data that is still shown while the API can't be reached. */
export function StaleNotice({ error }: { error: ApiError | undefined }) {
  return (
    <div class="stale" role="status">
      {error && (
        <span>
          <Icon name="alert" /> {error.isUnreachable ? "No connection: this page may be out of date." : error.message}{" "}
          Trying again …
        </span>
      )}
    </div>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <section class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** Grey lines in place of a table that is still loading. */
export function Skeleton({ lines = 6 }: { lines?: number }) {
  return (
    <div class="skeleton-lines" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div class="skeleton" key={index} />
      ))}
    </div>
  );
}

export function Notice({ kind, children }: { kind: "info" | "warning" | "failed"; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`}>
      <Icon name={kind === "info" ? "info" : "alert"} />
      <div>{children}</div>
    </div>
  );
}
