import { expect, it } from "vitest";
import { describeRelease } from "./slot-order";

it("tells the release of a slot's worker, and whether it is another one than the API's", () => {
  expect(describeRelease({ emotune_version: "0.2.0", is_other_release: false })).toBe("release 0.2.0");
  expect(describeRelease({ emotune_version: "0.1.0", is_other_release: true })).toBe("release 0.1.0, not the API's");
});

it("says so where a worker is too old to tell its release", () => {
  expect(describeRelease({ emotune_version: null, is_other_release: true })).toBe("release unknown, not the API's");
});
