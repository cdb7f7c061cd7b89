import type { Route } from "../../router";

export function NewJobPage({ route }: { route: Route }) {
  return <p>{route.parts.join("/")}</p>;
}
