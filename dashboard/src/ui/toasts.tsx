// Short messages after an action. Screen readers announce them, and they disappear automatically unless they report an
// error.

import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icons";
import "./toasts.css";

interface Toast {
  id: number;
  kind: "done" | "failed";
  message: string;
}

const SHOWN_MS = 6_000;
let nextId = 1;
let toasts: Toast[] = [];
let notify: (() => void) | null = null;

function change(next: Toast[]): void {
  toasts = next;
  notify?.();
}

export function toast(kind: Toast["kind"], message: string): void {
  const id = nextId++;
  change([...toasts, { id, kind, message }]);
  if (kind === "done") window.setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  change(toasts.filter((each) => each.id !== id));
}

export function Toasts() {
  const [, setVersion] = useState(0);
  useEffect(() => {
    notify = () => setVersion((version) => version + 1);
    return () => {
      notify = null;
    };
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((each) => (
        <div key={each.id} class={`toast ${each.kind}`}>
          <Icon name={each.kind === "done" ? "check" : "alert"} />
          <span>{each.message}</span>
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => dismiss(each.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
