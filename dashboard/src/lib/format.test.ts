import { describe, expect, it } from "vitest";
import {
  countOf,
  formatAbout,
  formatBytes,
  formatCount,
  formatNumber,
  formatRelative,
  formatSeconds,
  formatShare,
  NONE,
} from "./format";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [150 * 1024 ** 2, "150 MiB"],
    [140.4 * 1024 ** 3, "140 GiB"],
    [null, NONE],
    [Number.NaN, NONE],
  ])("%s is %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe("formatSeconds", () => {
  it.each([
    [0, "0 s"],
    [2.34, "2.3 s"],
    [59.6, "1 min"],
    [200, "3 min 20 s"],
    [7500, "2 h 5 min"],
    [3600, "1 h"],
    [90_000, "1 d 1 h"],
    [-3, "0 s"],
    [undefined, NONE],
  ])("%s is %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});

describe("formatRelative", () => {
  const now = new Date("2026-11-26T12:00:00Z");
  it.each([
    ["2026-11-26T12:00:00Z", "just now"],
    ["2026-11-26T11:59:15Z", "45 seconds ago"],
    ["2026-11-26T11:59:00Z", "1 minute ago"],
    ["2026-11-26T14:00:00Z", "in 2 hours"],
    ["2026-11-20T12:00:00Z", "6 days ago"],
  ])("%s is %s", (date, text) => expect(formatRelative(new Date(date), now)).toBe(text));
});

it("formats an expected time in one unit", () => {
  expect(formatAbout(42.4)).toBe("about 42 s");
  expect(formatAbout(1356)).toBe("about 23 min");
  expect(formatAbout(9000)).toBe("about 2.5 h");
  expect(formatAbout(null)).toBe(NONE);
});

it("formats losses, counts and shares", () => {
  expect(formatNumber(2.345678)).toBe("2.346");
  expect(formatNumber(0.00001234)).toBe("1.23e-5");
  expect(formatNumber(0)).toBe("0");
  expect(formatNumber(null)).toBe(NONE);
  expect(formatCount(1234567)).toBe("1,234,567");
  expect(countOf(1, "job")).toBe("1 job");
  expect(countOf(2000, "job")).toBe("2,000 jobs");
  expect(formatShare(0.4267)).toBe("43 %");
  expect(formatShare(0.031)).toBe("3.1 %");
});
