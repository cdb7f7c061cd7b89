// A dialog with one form: it sends, shows why the request was refused, and closes after success.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { Dialog } from "./dialog";

export function FormDialog({
  title,
  action,
  send,
  onClose,
  children,
}: {
  title: string;
  /** The name of the button that sends the form. */
  action: string;
  /** May throw ApiError, whose message is shown. */
  send: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const [problems, setProblems] = useState<string[]>([]);
  const [isBusy, setBusy] = useState(false);
  async function submit(): Promise<void> {
    setBusy(true);
    setProblems([]);
    try {
      await send();
      onClose();
    } catch (error) {
      const isOurs = error instanceof ApiError;
      const many = isOurs ? error.problems.map((problem) => problem.message) : [];
      setProblems(many.length ? many : [isOurs ? error.message : String(error)]);
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div class="dialog-body">
          {children}
          <div role="alert">
            {problems.map((problem) => (
              <p class="problem" key={problem}>
                {problem}
              </p>
            ))}
          </div>
        </div>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
