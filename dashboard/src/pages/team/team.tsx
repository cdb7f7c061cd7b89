import type { Route } from "../../router";

export function TeamPage({ route }: { route: Route }) {
  return <p>{route.parts.join("/")}</p>;
}
