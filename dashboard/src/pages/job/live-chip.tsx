import type { StreamStatus } from "../../api/stream";

/** Shows whether the section is updated live. */
export function LiveChip({ live, isOver }: { live: StreamStatus; isOver: boolean }) {
  if (isOver || live === "ended") return null;
  if (live === "live") {
    return (
      <span class="badge good job-live">
        <span class="dot" aria-hidden="true" /> live
      </span>
    );
  }
  return (
    <span class={`badge ${live === "lost" ? "warn" : ""} job-live`} role="status">
      <span class="dot" aria-hidden="true" /> {live === "lost" ? "reconnecting …" : "connecting …"}
    </span>
  );
}
