import { describe, expect, it } from "vitest";
import { appendPage, mergeFirstPage } from "./merge-pages";

const make = (...days: number[]) => days.map((day) => ({ id: `ds_${day}`, created_at: `2026-11-${day}` }));

describe("mergeFirstPage", () => {
  it("keeps the items of later pages and adds new ones", () => {
    expect(mergeFirstPage(make(20, 19, 18, 17), make(21, 20, 19), false)).toEqual(make(21, 20, 19, 18, 17));
  });
  it("drops items that are gone from the first page", () => {
    expect(mergeFirstPage(make(20, 19, 18, 17), make(20, 18), false)).toEqual(make(20, 18, 17));
    expect(mergeFirstPage(make(20, 19), make(20), true)).toEqual(make(20));
    expect(mergeFirstPage(make(20), [], true)).toEqual([]);
  });
});

it("appends items that are not in the list yet", () =>
  expect(appendPage(make(20, 19), make(19, 18))).toEqual(make(20, 19, 18)));
