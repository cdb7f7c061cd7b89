// The palette's colours as a canvas takes them. A custom property keeps `light-dark(...)` as it was written, so an
// element of the page has to say what comes of it.

const resolved = new Map<string, string>();
const listeners = new Set<() => void>();
let probe: HTMLElement | null = null;

/** `--series-1` as `rgb(...)`, in the theme that holds now. */
export function resolveColor(token: string): string {
  const known = resolved.get(token);
  if (known) return known;
  if (probe === null) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${token})`;
  const color = getComputedStyle(probe).color;
  resolved.set(token, color);
  return color;
}

function tell(): void {
  resolved.clear();
  for (const each of listeners) each();
}

/** Calls `listener` when the theme has changed, by the button or by the system. Returns how to end that. */
export function onColorsChange(listener: () => void): () => void {
  if (listeners.size === 0) {
    window.addEventListener("themechange", tell);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    // It may have changed while nobody listened.
    resolved.clear();
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.removeEventListener("themechange", tell);
    window.matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", tell);
  };
}
