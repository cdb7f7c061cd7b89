// Warns before a job is posted that fits no slot, and explains why the server has refused one.

import type { Config } from "../../../lib/config-fields";
import { Dialog } from "../../../ui/dialog";
import { Advice } from "./advice";

export function FitDialog({
  message,
  changes,
  isRefused,
  onApply,
  onForce,
  onClose,
}: {
  message: string;
  changes: Config[] | undefined;
  isRefused: boolean;
  onApply: (changes: Config) => void;
  onForce: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={isRefused ? "Refused: the job fits no slot" : "Post a job that fits no slot?"} onClose={onClose}>
      <div class="dialog-body">
        <Advice message={message} changes={changes} isOff={false} onApply={onApply} />
        {!isRefused && (
          <p class="soft">
            The server refuses a job that no slot has enough memory for, unless a larger slot has been added in the
            meantime.
          </p>
        )}
      </div>
      <footer>
        <button type="button" onClick={onClose}>
          Back to the form
        </button>
        {!isRefused && (
          <button type="button" class="danger" onClick={onForce}>
            Post it anyway
          </button>
        )}
      </footer>
    </Dialog>
  );
}
