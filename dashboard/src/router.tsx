// Names pages by the part of the address after `#`, which never reaches the server: the server's own paths belong to
// the API.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Route {
  /** The parts of the path: `#/jobs/job_1` becomes `["jobs", "job_1"]`. */
  parts: string[];
  query: URLSearchParams;
}

export function parseHash(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
  return { parts, query: new URLSearchParams(query) };
}

export function makeHash(path: string, query: Record<string, string | null | undefined> = {}): string {
  const kept = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(kept).toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseHash(window.location.hash));
  useEffect(() => {
    const look = () => setRoute(parseHash(window.location.hash));
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  return route;
}

/** Goes to a page. `replace` adds no entry to the browser's history, for example for a filter. */
export function navigate(
  path: string,
  query: Record<string, string | null | undefined> = {},
  { replace = false }: { replace?: boolean } = {},
): void {
  const hash = makeHash(path, query);
  if (!replace) {
    window.location.hash = hash;
    return;
  }
  window.history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function Link({
  to,
  query,
  children,
  ...rest
}: {
  to: string;
  query?: Record<string, string | null | undefined> | undefined;
  children: ComponentChildren;
  class?: string | undefined;
  title?: string | undefined;
  tabIndex?: number | undefined;
  onClick?: ((event: MouseEvent) => void) | undefined;
  "aria-label"?: string | undefined;
  "aria-current"?: "page" | undefined;
}) {
  // The attribute types don't accept `undefined`, although an undefined attribute is simply left out.
  const attributes = rest as Record<string, unknown>;
  return (
    <a href={makeHash(to, query)} {...attributes}>
      {children}
    </a>
  );
}
