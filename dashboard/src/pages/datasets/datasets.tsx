import type { Route } from "../../router";

export function DatasetsPage({ route }: { route: Route }) {
  return <p>{route.parts.join("/")}</p>;
}
