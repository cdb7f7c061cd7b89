import { expect, it } from "vitest";
import { describeRelease } from "./slot-order";

it("shows the release of a slot's worker, and whether it differs from the API's", () => {
  expect(describeRelease({ emotune_version: "0.2.0", is_other_release: false })).toBe("release 0.2.0");
  expect(describeRelease({ emotune_version: "0.1.0", is_other_release: true })).toBe("release 0.1.0, not the API's");
});

it("says so if a worker is too old to report its release", () => {
  expect(describeRelease({ emotune_version: null, is_other_release: true })).toBe("release unknown, not the API's");
});
