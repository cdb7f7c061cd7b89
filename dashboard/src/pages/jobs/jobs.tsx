import type { Route } from "../../router";

export function JobsPage({ route }: { route: Route }) {
  return <p>{route.parts.join("/")}</p>;
}
