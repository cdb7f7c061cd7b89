import type { Route } from "../../router";

export function DatasetPage({ datasetId, route }: { datasetId: string; route: Route }) {
  return <p>{datasetId + route.parts.join("/")}</p>;
}
