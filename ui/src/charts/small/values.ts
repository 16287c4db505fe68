/** A param or a metric over many runs: as numbers where all of them are, else as names in order. */

import type { ScaleKind } from "../scale";

export interface Field {
  /** `params.lr`, `metrics.val/loss`. */
  readonly name: string;
  readonly title: string;
  /** A run without it has `undefined`. */
  readonly texts: readonly (string | undefined)[];
  readonly numbers: readonly number[];
  /** Empty where they are numbers. */
  readonly names: readonly string[];
  readonly differs: boolean;
}

export function fieldOf(name: string, texts: readonly (string | undefined)[]): Field {
  const there = texts.filter((text) => text !== undefined);
  const isNumber =
    there.length > 0 &&
    there.every((text) => text.trim() !== "" && (!Number.isNaN(Number(text)) || text === "NaN"));
  const order = new Intl.Collator("en", { numeric: true });
  const names = isNumber ? [] : [...new Set(there)].sort(order.compare);
  const places = new Map(names.map((each, at) => [each, at]));
  return {
    name,
    title: name.replace(/^(params|metrics|tags)\./, ""),
    texts,
    numbers: texts.map((text) =>
      text === undefined ? Number.NaN : isNumber ? Number(text) : (places.get(text) ?? Number.NaN),
    ),
    names,
    differs: new Set(texts).size > 1,
  };
}

export function rangeOf(numbers: readonly number[]): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of numbers) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Learning rates and their like span powers of ten: they are spread evenly on a logarithmic axis. */
export function kindFor(field: Field): ScaleKind {
  if (field.names.length) return "linear";
  const finite = field.numbers.filter(Number.isFinite);
  if (finite.length < 3 || finite.some((value) => value <= 0)) return "linear";
  const [low, high] = rangeOf(finite);
  return high / low >= 30 ? "log" : "linear";
}
