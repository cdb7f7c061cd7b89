// A modal dialog, made of the browser's own element: it keeps the focus inside and closes on Escape.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asError } from "../api/client";
import { Icon } from "./icons";
import "./dialog.css";

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} aria-labelledby={titleId} onClose={onClose}>
      <header>
        <h2 id={titleId}>{title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => element.current?.close()}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** Asks for confirmation before an action that can't be undone. `act` may throw ApiError, whose message is shown. */
export function Confirm({
  title,
  action,
  act,
  onClose,
  children,
}: {
  title: string;
  action: string;
  act: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">{children}</div>
      {error && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
      <footer>
        <button type="button" onClick={onClose}>
          Keep it
        </button>
        <button
          type="button"
          class="danger"
          disabled={isBusy}
          onClick={() => {
            setBusy(true);
            act()
              .then(onClose)
              .catch((caught: unknown) => {
                setError(asError(caught).message);
                setBusy(false);
              });
          }}
        >
          {action}
        </button>
      </footer>
    </Dialog>
  );
}
