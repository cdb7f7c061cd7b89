// The menu of a row, for the mouse and for the keyboard (arrows, Home, End, Escape).

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { JobRow } from "../../../api/types";
import { type JobVerb, listVerbs } from "../../../lib/jobs-view";
import { navigate } from "../../../router";
import { copyWithToast } from "../../../ui/copy-button";
import { Icon, type IconName } from "../../../ui/icons";
import "./row-menu.css";

const VERBS: Record<JobVerb, { name: string; icon: IconName }> = {
  pause: { name: "Pause", icon: "pause" },
  resume: { name: "Resume", icon: "play" },
  checkpoint: { name: "Save a checkpoint", icon: "save" },
  cancel: { name: "Cancel …", icon: "stop" },
};
const GAP = 4;

export function RowMenu({ row, onVerb }: { row: JobRow; onVerb: (verb: JobVerb) => void }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={button}
        type="button"
        class="quiet jobs-more"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-label={`Actions for ${row.name}`}
        onClick={() => setOpen(!isOpen)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          event.stopPropagation();
          setOpen(true);
        }}
      >
        <span aria-hidden="true">⋯</span>
      </button>
      {isOpen && (
        <Menu
          row={row}
          button={button.current}
          onVerb={onVerb}
          onClose={(isFocusKept) => {
            setOpen(false);
            if (isFocusKept) button.current?.focus();
          }}
        />
      )}
    </>
  );
}

function Menu({
  row,
  button,
  onVerb,
  onClose,
}: {
  row: JobRow;
  button: HTMLButtonElement | null;
  onVerb: (verb: JobVerb) => void;
  onClose: (isFocusKept: boolean) => void;
}) {
  const menu = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;

  // The menu opens next to its button, where there is room. It isn't placed inside the table, which would cut it off.
  useLayoutEffect(() => {
    if (!menu.current || !button) return;
    const place = button.getBoundingClientRect();
    const size = menu.current.getBoundingClientRect();
    const isBelow = place.bottom + GAP + size.height <= window.innerHeight;
    menu.current.style.top = `${Math.max(GAP, isBelow ? place.bottom + GAP : place.top - GAP - size.height)}px`;
    menu.current.style.left = `${Math.max(GAP, place.right - size.width)}px`;
    menu.current.querySelector<HTMLElement>("[role=menuitem]")?.focus({ preventScroll: true });
  }, [button]);

  useEffect(() => {
    const leave = (event: Event) => {
      const target = event.target as Node;
      if (menu.current?.contains(target) || button?.contains(target)) return;
      close.current(false);
    };
    const move = () => close.current(false);
    document.addEventListener("pointerdown", leave);
    document.addEventListener("focusin", leave);
    window.addEventListener("scroll", move, { passive: true });
    window.addEventListener("resize", move);
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("focusin", leave);
      window.removeEventListener("scroll", move);
      window.removeEventListener("resize", move);
    };
  }, [button]);

  function onKeyDown(event: KeyboardEvent): void {
    const items = [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    // The table's shortcuts don't work inside its menu.
    event.stopPropagation();
    if (to !== undefined) {
      event.preventDefault();
      items[to]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose(true);
    }
  }

  function pick(act: () => void): void {
    onClose(true);
    act();
  }

  return (
    <div ref={menu} class="jobs-actions" role="menu" aria-label={`Actions for ${row.name}`} onKeyDown={onKeyDown}>
      {listVerbs(row).map((verb) => (
        <Item
          key={verb}
          icon={VERBS[verb].icon}
          isDanger={verb === "cancel"}
          onClick={() => pick(() => onVerb(verb))}
          name={VERBS[verb].name}
        />
      ))}
      <Item icon="copy" name="Clone …" onClick={() => pick(() => navigate("/new-job", { from: row.id }))} />
      {row.status === "succeeded" && (
        <a
          role="menuitem"
          tabIndex={-1}
          href={`/jobs/${encodeURIComponent(row.id)}/bundle`}
          download
          onClick={() => onClose(true)}
        >
          <Icon name="download" /> Download the bundle
        </a>
      )}
      <Item icon="compare" name="Compare with …" onClick={() => pick(() => navigate("/compare", { jobs: row.id }))} />
      <Item icon="key" name="Copy the id" onClick={() => pick(() => void copyWithToast(row.id, document.body))} />
    </div>
  );
}

function Item({
  icon,
  name,
  isDanger = false,
  onClick,
}: {
  icon: IconName;
  name: string;
  isDanger?: boolean;
  onClick: () => void;
}) {
  return (
    <button type="button" role="menuitem" tabIndex={-1} class={isDanger ? "is-danger" : ""} onClick={onClick}>
      <Icon name={icon} /> {name}
    </button>
  );
}
