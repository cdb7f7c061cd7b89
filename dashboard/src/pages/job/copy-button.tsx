import { Icon } from "../../ui/icons";
import { toast } from "../../ui/toasts";

/** Copies a text. `navigator.clipboard` is there on https and localhost alone, and many installations have neither. */
export function CopyButton({ label, getText }: { label: string; getText: () => string }) {
  return (
    <button type="button" class="quiet small" aria-label={label} title={label} onClick={() => void copy(getText())}>
      <Icon name="copy" />
    </button>
  );
}

async function copy(text: string): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    toast("done", "Copied.");
  } catch {
    toast("failed", "The browser didn't let this page copy. Select the text and copy it by hand.");
  }
}

function copyBySelection(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden-text";
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("not copied");
}
