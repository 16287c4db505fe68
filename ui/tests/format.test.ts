import { describe, expect, it } from "vitest";
import { ago, bytes, duration, shortNumber, toNumber } from "../src/lib/format";

describe("numbers", () => {
  it.each([
    [0.1 + 0.2, "0.3"],
    [123456, "123456"],
    [1234567, "1.235e6"],
    [0.00001234, "1.234e-5"],
    [-2.5, "−2.5"],
    [1e21, "1e21"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "∞"],
    [Number.NEGATIVE_INFINITY, "−∞"],
    [0, "0"],
  ])("%d is shown as %s", (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });

  it("reads what JSON cannot say", () => {
    expect(toNumber("NaN")).toBeNaN();
    expect(toNumber("-Infinity")).toBe(Number.NEGATIVE_INFINITY);
    expect(toNumber(null)).toBeUndefined();
  });
});

describe("times", () => {
  it.each([
    [250, "250 ms"],
    [59_000, "59 s"],
    [3_600_000, "1 h"],
    [11_100_000, "3 h 5 min"],
    [90_061_000, "1 d 1 h"],
  ])("%d ms last %s", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it("counts from now, and names the day from a week on", () => {
    const now = Date.UTC(2026, 10, 26, 12);
    expect(ago(now - 5_000, now)).toBe("5 s ago");
    expect(ago(now - 2 * 86_400_000, now)).toBe("2 d ago");
    expect(ago(now - 30 * 86_400_000, now)).toBe("2026-10-27");
  });
});

it.each([
  [999, "999 B"],
  [1_500, "1.5 kB"],
  [12_345_678, "12 MB"],
])("%d bytes are %s", (size, text) => {
  expect(bytes(size)).toBe(text);
});

it("writes large numbers with a fraction without a long exponent", () => {
  expect(shortNumber(123_456.7)).toBe("123457");
  expect(shortNumber(-120_000.3)).toBe("−120000");
  expect(shortNumber(999_999.9)).toBe("1e6");
});
