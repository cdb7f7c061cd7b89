// Before a job is posted that fits no slot, and after the server has refused one.

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
    <Dialog title={isRefused ? "Refused: it would not fit" : "Post a job that won't fit?"} onClose={onClose}>
      <div class="dialog-body">
        <Advice message={message} changes={changes} isOff={false} onApply={onApply} />
        {!isRefused && (
          <p class="soft">The server refuses what no slot has the memory for, unless a larger slot has come since.</p>
        )}
      </div>
      <footer>
        <button type="button" onClick={onClose}>
          Back to the form
        </button>
        {!isRefused && (
          <button type="button" class="danger" onClick={onForce}>
            Post it all the same
          </button>
        )}
      </footer>
    </Dialog>
  );
}
