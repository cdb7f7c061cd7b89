// The keyboard shortcuts of the table.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { navigate } from "../../router";
import { Dialog } from "../../ui/dialog";
import "./keys.css";

const KEYS: [keys: string[], what: string][] = [
  [["j", "↓"], "next job"],
  [["k", "↑"], "previous job"],
  [["Enter"], "open the job"],
  [["x"], "choose the job or undo the choice"],
  [["c"], "compare the chosen jobs"],
  [["Esc"], "choose none"],
  [["/"], "search"],
  [["n"], "new job"],
  [["?"], "this help"],
];

interface JobKeys {
  table: RefObject<HTMLDivElement | null>;
  searchBox: RefObject<HTMLInputElement | null>;
  showHelp: () => void;
  toggle: (id: string) => void;
  clear: () => void;
  compare: () => void;
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const isBox = target instanceof HTMLInputElement && target.type !== "checkbox";
  return isBox || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

export function useJobKeys(keys: JobKeys): void {
  const newest = useRef(keys);
  newest.current = keys;

  useEffect(() => {
    function move(by: number): boolean {
      const links = [...(newest.current.table.current?.querySelectorAll<HTMLElement>(".jobs-link") ?? [])];
      const row = document.activeElement?.closest("tr[data-job]");
      const at = links.findIndex((link) => row?.contains(link));
      const next = links[at === -1 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
      next?.focus();
      next?.closest("tr")?.scrollIntoView({ block: "nearest" });
      return next !== undefined;
    }

    function onKeyDown(event: KeyboardEvent): void {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const row = document.activeElement?.closest<HTMLElement>("tr[data-job]");
      // The arrow keys scroll the page until a row has the focus.
      if (event.key.startsWith("Arrow") && !row) return;
      switch (event.key) {
        case "j":
        case "ArrowDown":
          if (!move(1)) return;
          break;
        case "k":
        case "ArrowUp":
          if (!move(-1)) return;
          break;
        case "x":
          if (!row?.dataset.job) return;
          newest.current.toggle(row.dataset.job);
          break;
        case "c":
          newest.current.compare();
          break;
        case "n":
          navigate("/new-job");
          break;
        case "Escape":
          newest.current.clear();
          break;
        case "/":
          newest.current.searchBox.current?.focus();
          newest.current.searchBox.current?.select();
          break;
        case "?":
          newest.current.showHelp();
          break;
        default:
          return;
      }
      event.preventDefault();
    }

    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="dialog-body jobs-keys">
        {KEYS.map(([names, what]) => (
          <div key={what}>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
