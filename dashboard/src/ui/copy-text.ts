// The clipboard API exists only on https, but these pages are often served on plain http. There, the older copy command
// is used.

/**
 * Copies a text and returns whether that worked. `place` is where the helper element may be inserted: inside the modal
 * dialog if there is one.
 */
export async function copyText(text: string, place: Element): Promise<boolean> {
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // The clipboard API may be forbidden here; the older command may still work.
    }
  }
  const helper = document.createElement("textarea");
  helper.value = text;
  helper.setAttribute("aria-hidden", "true");
  helper.className = "hidden-text";
  place.append(helper);
  const focused = document.activeElement;
  helper.select();
  const isDone = document.execCommand("copy");
  helper.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isDone;
}
