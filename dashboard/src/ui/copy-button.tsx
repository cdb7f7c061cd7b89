// Copies a text and reports whether it worked.

import { copyText } from "./copy-text";
import { Icon } from "./icons";
import { toast } from "./toasts";

export function CopyButton({ label, getText }: { label: string; getText: () => string }) {
  return (
    <button
      type="button"
      class="quiet small"
      aria-label={label}
      title={label}
      onClick={(event) => void copyWithToast(getText(), event.currentTarget)}
    >
      <Icon name="copy" />
    </button>
  );
}

/** `origin` is the element that was clicked. */
export async function copyWithToast(text: string, origin: Element): Promise<void> {
  const isDone = await copyText(text, origin.closest("dialog") ?? document.body);
  if (isDone) toast("done", "Copied.");
  else toast("failed", "The browser didn't let this page copy. Select the text and copy it by hand.");
}
