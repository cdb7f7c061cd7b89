import { describe, expect, it } from "vitest";
import { downsample, findFrom, findNearest } from "./downsample";

const x = Array.from({ length: 20_000 }, (_, index) => index);
const y = x.map((each) => Math.sin(each / 300) + (each === 7_001 ? 50 : 0));

describe("downsample", () => {
  it("leaves a short series unchanged", () => {
    expect(downsample([1, 2, 3], [5, 6, 7], 1, 3, 100)).toEqual({ x: [1, 2, 3], y: [5, 6, 7] });
  });

  it("keeps the peak of a column, and about four points of each column", () => {
    const found = downsample(x, y, 0, 19_999, 500);
    expect(found.x.length).toBeLessThanOrEqual(4 * 501);
    expect(Math.max(...found.y)).toBe(y[7_001]);
    expect(found.x).toContain(7_001);
    expect(found.x[0]).toBe(0);
    expect(found.x.at(-1)).toBe(19_999);
  });

  it("returns points of the original whose x ascends", () => {
    const found = downsample(x, y, 3_000, 15_000, 200);
    expect(found.x.every((each, index) => index === 0 || each > (found.x[index - 1] as number))).toBe(true);
    expect(found.x.every((each, index) => y[each] === found.y[index])).toBe(true);
  });

  it("includes one point beyond each edge, so that the line reaches the edge", () => {
    expect(downsample([0, 10, 20, 30, 40], [0, 1, 2, 3, 4], 12, 28, 100).x).toEqual([10, 20, 30]);
  });

  it("leaves out points without a value, also at the edges", () => {
    expect(downsample([0, 1, 2, 3, 4], [9, null, 5, null, 8], 1.5, 2.5, 100)).toEqual({ x: [0, 2, 4], y: [9, 5, 8] });
    expect(downsample([0, 1], [null, Number.NaN], 0, 1, 10)).toEqual({ x: [], y: [] });
    expect(downsample([], [], 0, 1, 10)).toEqual({ x: [], y: [] });
  });
});

describe("finding an index", () => {
  it("finds the first x that is not smaller", () => {
    expect(findFrom([1, 3, 5], 3)).toBe(1);
    expect(findFrom([1, 3, 5], 4)).toBe(2);
    expect(findFrom([1, 3, 5], 9)).toBe(3);
  });

  it("finds the nearest x", () => {
    expect(findNearest([1, 3, 9], 5)).toBe(1);
    expect(findNearest([1, 3, 9], 7)).toBe(2);
    expect(findNearest([1, 3, 9], -4)).toBe(0);
    expect(findNearest([1, 3, 9], 99)).toBe(2);
    expect(findNearest([], 1)).toBe(-1);
  });
});
