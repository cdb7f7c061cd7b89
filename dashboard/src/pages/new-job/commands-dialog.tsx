// Shows the request as a command, for scripts and for people who prefer a shell.

import { useState } from "preact/hooks";
import type { JobCreate } from "../../api/types";
import { copyText } from "../../ui/copy-text";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { makeCurl, makeSubmit } from "./job-commands";
import "./commands-dialog.css";

export function CommandsDialog({
  body,
  idempotencyKey,
  onClose,
}: {
  body: JobCreate;
  idempotencyKey: string;
  onClose: () => void;
}) {
  const origin = window.location.origin;
  return (
    <Dialog title="The same job as a command" onClose={onClose}>
      <div class="dialog-body new-job-commands">
        <Command name="curl" text={makeCurl(origin, body, idempotencyKey)} />
        <Command name="The command line" text={makeSubmit(origin, body)} />
        <p class="hint">
          Both read your key from <code>EMOTUNE_API_KEY</code>. Because of its Idempotency-Key, the first command and
          this page together make only one job, even if the command is sent again. Another key makes another job.
        </p>
      </div>
      <footer>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </footer>
    </Dialog>
  );
}

function Command({ name, text }: { name: string; text: string }) {
  const [said, setSaid] = useState("");
  return (
    <section class="new-job-command">
      <div class="new-job-command-head">
        <h3>{name}</h3>
        <small class="soft" role="status">
          {said}
        </small>
        <button
          type="button"
          class="small"
          aria-label={`Copy: ${name}`}
          onClick={(event) => {
            const place = event.currentTarget.closest("dialog") ?? document.body;
            void copyText(text, place).then((isDone) =>
              setSaid(isDone ? "copied" : "select the text and copy it by hand"),
            );
          }}
        >
          <Icon name="copy" /> Copy
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part has to be reachable by keyboard */}
      <pre class="log" tabIndex={0}>
        {text}
      </pre>
    </section>
  );
}
