import { describe, expect, it } from "vitest";
import { parseExact, stringifyExact, wholeFrom } from "../src/lib/exact_json";

const LARGE = "9223372036854775807";

describe("JSON with large whole numbers", () => {
  it("keeps all digits, and leaves everything else as it is", () => {
    const text = `{"predictions":[${LARGE},-${LARGE},7,0.12345678901234566,1e+300,9007199254740991],"note":"id ${LARGE}, \\"${LARGE}\\""}`;
    const found = parseExact(text) as { predictions: unknown[]; note: string };
    expect(found.predictions).toEqual([
      9223372036854775807n,
      -9223372036854775807n,
      7,
      0.12345678901234566,
      1e300,
      9007199254740991,
    ]);
    expect(found.note).toBe(`id ${LARGE}, "${LARGE}"`);
    expect(stringifyExact(found)).toBe(text);
  });

  it("takes no text for a number", () => {
    const found = parseExact(`["~whole~12", ${LARGE}]`);
    expect(found).toEqual(["~whole~12", 9223372036854775807n]);
    expect(stringifyExact(found)).toBe(`["~whole~12",${LARGE}]`);
    expect(() => parseExact(`{"a": ${LARGE}`)).toThrow(SyntaxError);
    expect(stringifyExact([1n, "a"], 2)).toBe('[\n  1,\n  "a"\n]');
  });

  it("reads whole numbers of forms", () => {
    expect(wholeFrom(" 12 ")).toBe(12);
    expect(wholeFrom(LARGE)).toBe(9223372036854775807n);
    expect(wholeFrom("1.5")).toBeUndefined();
    expect(wholeFrom("1e30")).toBeUndefined();
  });
});
