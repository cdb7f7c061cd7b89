// What a slot card says in words.

import type { Slot } from "../../api/types";

/** The release of the slot's worker, in the words of `emotune slots` where it is not the API's own. */
export function describeRelease(slot: Pick<Slot, "emotune_version" | "is_other_release">): string {
  const release = `release ${slot.emotune_version ?? "unknown"}`;
  return slot.is_other_release ? `${release}, not the API's` : release;
}
