// Resolves the palette's colours for a canvas. A custom property keeps `light-dark(...)` unevaluated, so an element of
// the page has to compute the colour.

const resolved = new Map<string, string>();
const listeners = new Set<() => void>();
let probe: HTMLElement | null = null;

/** Returns `--series-1` as `rgb(...)` in the current theme. */
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

function notify(): void {
  resolved.clear();
  for (const each of listeners) each();
}

/** Calls `listener` when the theme has changed, by the button or by the system. Returns a function that ends this. */
export function onColorsChange(listener: () => void): () => void {
  if (listeners.size === 0) {
    window.addEventListener("themechange", notify);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", notify);
    // The theme may have changed while nothing was listening.
    resolved.clear();
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.removeEventListener("themechange", notify);
    window.matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", notify);
  };
}
