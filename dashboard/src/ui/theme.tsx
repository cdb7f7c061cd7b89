// Chooses the light theme, the dark theme, or the system's theme.

import { useState } from "preact/hooks";
import { Icon } from "./icons";

type Theme = "system" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const STORED = "emotune-theme";

function isTheme(value: string | null): value is Theme {
  return value === "system" || value === "light" || value === "dark";
}

function apply(theme: Theme): void {
  if (theme === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  // Charts draw on a canvas, which style sheets don't reach, so they listen for this event.
  window.dispatchEvent(new Event("themechange"));
}

function read(): Theme {
  const stored = window.localStorage.getItem(STORED);
  return isTheme(stored) ? stored : "system";
}

apply(read());

export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(read);
  const label = `Colours: ${theme === "system" ? "as the system" : theme}. Change to ${NEXT[theme]}`;
  return (
    <button
      type="button"
      class="quiet"
      title={label}
      aria-label={label}
      onClick={() => {
        const next = NEXT[theme];
        window.localStorage.setItem(STORED, next);
        setTheme(next);
        apply(next);
      }}
    >
      <Icon name={theme === "system" ? "system" : theme === "light" ? "sun" : "moon"} />
    </button>
  );
}
