import type { Route } from "../../router";

export function JobPage({ jobId, route }: { jobId: string; route: Route }) {
  return <p>{jobId + route.parts.join("/")}</p>;
}
