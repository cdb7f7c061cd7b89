import { describe, expect, it } from "vitest";
import { appendPage, mergeFirstPage } from "./merge-pages";

const make = (...days: number[]) => days.map((day) => ({ id: `ds_${day}`, created_at: `2026-11-${day}` }));

describe("mergeFirstPage", () => {
  it("keeps what further pages brought, and takes in what is new", () => {
    expect(mergeFirstPage(make(20, 19, 18, 17), make(21, 20, 19), false)).toEqual(make(21, 20, 19, 18, 17));
  });
  it("drops what is gone from the first page", () => {
    expect(mergeFirstPage(make(20, 19, 18, 17), make(20, 18), false)).toEqual(make(20, 18, 17));
    expect(mergeFirstPage(make(20, 19), make(20), true)).toEqual(make(20));
    expect(mergeFirstPage(make(20), [], true)).toEqual([]);
  });
});

it("appends what is not there yet", () => expect(appendPage(make(20, 19), make(19, 18))).toEqual(make(20, 19, 18)));
