// Shows the secret of a new key, this one time only.

import { useState } from "preact/hooks";
import { copyText } from "../../ui/copy-text";
import { Dialog } from "../../ui/dialog";
import { Notice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";

export function SecretDialog({ name, secret, onClose }: { name: string; secret: string; onClose: () => void }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Dialog title={`The key ${name}`} onClose={onClose}>
      <div class="dialog-body">
        <Notice kind="warning">Copy the key now: only its digest is stored, and the key is never shown again.</Notice>
        <div class="team-secret">
          <code>{secret}</code>
          <button
            type="button"
            class="small"
            onClick={(event) => {
              const place = event.currentTarget.closest("dialog") ?? document.body;
              void copyText(secret, place).then(setCopied);
            }}
          >
            <Icon name={isCopied ? "check" : "copy"} /> {isCopied ? "Copied" : "Copy"}
          </button>
        </div>
        <p class="hint">
          Use it as <code>EMOTUNE_API_KEY</code>, or as <code>Authorization: Bearer …</code>
        </p>
      </div>
      <footer>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </footer>
    </Dialog>
  );
}
