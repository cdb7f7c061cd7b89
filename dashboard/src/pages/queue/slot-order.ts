// Describes a slot in the words of its card.

import type { Slot } from "../../api/types";

/** Describes the release of the slot's worker; if it differs from the API's, in the words of `emotune slots`. */
export function describeRelease(slot: Pick<Slot, "emotune_version" | "is_other_release">): string {
  const release = `release ${slot.emotune_version ?? "unknown"}`;
  return slot.is_other_release ? `${release}, not the API's` : release;
}
