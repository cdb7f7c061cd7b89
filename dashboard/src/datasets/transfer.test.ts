import { describe, expect, it } from "vitest";
import { listMissingParts, pauseAfter, planParts, RateMeter } from "./transfer";

describe("RateMeter", () => {
  it("reports rate and remaining time once it knows enough", () => {
    const meter = new RateMeter();
    meter.add(0, 0);
    meter.add(100, 50);
    expect(meter.read(1000)).toEqual({ bytesPerSecond: null, secondsLeft: null });
    meter.add(1000, 500);
    expect(meter.read(1500)).toEqual({ bytesPerSecond: 500, secondsLeft: 2 });
  });

  it("follows a link that slows down", () => {
    const meter = new RateMeter();
    for (let second = 0; second <= 30; second += 1)
      meter.add(second * 1000, second < 10 ? second * 100 : 1000 + (second - 10));
    expect(meter.read(2000).bytesPerSecond).toBeCloseTo(1);
  });

  it("starts again when bytes were lost", () => {
    const meter = new RateMeter();
    meter.add(0, 0);
    meter.add(1000, 500);
    meter.add(1100, 300);
    expect(meter.read(1000).bytesPerSecond).toBe(null);
  });
});

describe("planParts", () => {
  it("covers the file", () => {
    expect(planParts(25, 10)).toEqual([
      { number: 1, start: 0, end: 10 },
      { number: 2, start: 10, end: 20 },
      { number: 3, start: 20, end: 25 },
    ]);
    expect(planParts(100, 1, 4)).toHaveLength(4);
  });

  it("leaves out complete parts", () => {
    const missing = listMissingParts(planParts(25, 10), [
      { number: 1, size_bytes: 10 },
      { number: 3, size_bytes: 4 },
    ]);
    expect(missing.map((part) => part.number)).toEqual([2, 3]);
  });
});

it("waits longer after each failure, up to 15 seconds", () => {
  expect([1, 2, 3, 4, 5, 9].map(pauseAfter)).toEqual([1000, 2000, 4000, 8000, 15000, 15000]);
});
