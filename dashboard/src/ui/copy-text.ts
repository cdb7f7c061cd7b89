// The clipboard is there on https only, and these pages are often served on plain http: there the old way does it.

/** `place` is where the helper may stand: inside of a modal dialog, where there is one. Returns whether it was copied. */
export async function copyText(text: string, place: Element): Promise<boolean> {
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed here; the other way may be.
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
