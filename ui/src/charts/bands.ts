/**
 * A metric of groups of runs as the server sums it up over all of their points: a middle line and how the runs lie around it.
 */

import { equals, written } from "../lib/filter_language";
import { type ApiNumber, toNumber } from "../lib/format";
import { fieldNamed } from "../runs/columns";
import type { Series } from "./series";
import type { XKind } from "./settings";
import { axisFrom, type WireAxis } from "./wire_axis";

export const CENTRES = { mean: "mean", median: "median" } as const;
export type Centre = keyof typeof CENTRES;
export const BANDS = {
  minmax: "min to max",
  std: "± std",
  ci: "95 % of mean",
  quartiles: "quartiles",
} as const;
export type BandKind = keyof typeof BANDS;

/** Which runs are in the groups: what the server is asked. */
export interface GroupQuery {
  readonly experiment_ids: readonly string[];
  readonly filter: string;
  readonly view_type: "ACTIVE_ONLY" | "DELETED_ONLY";
  readonly by: readonly string[];
  readonly limit: number;
}

export interface BandsAsked extends GroupQuery {
  readonly key: string;
  readonly x: XKind;
  readonly start?: number;
  readonly end?: number;
  readonly width: number;
  readonly smoothing?: number;
}

export interface WireBand {
  keys: (string | null)[] | null;
  found: number;
  runs: number;
  points: number;
  column: number;
  x: WireAxis;
  counts: number[];
  mean: ApiNumber[];
  std: (ApiNumber | null)[];
  median: ApiNumber[];
  lower: ApiNumber[];
  upper: ApiNumber[];
  low: ApiNumber[];
  high: ApiNumber[];
  smooth?: ApiNumber[] | null;
  smooth_median?: ApiNumber[] | null;
}

export interface BandsPage {
  runs: number;
  total: number;
  complete: boolean;
  groups: WireBand[];
}

/** What tells a group from others, in the address too. */
export const groupId = (keys: readonly (string | null)[]): string => JSON.stringify(keys);

export const groupLabel = (keys: readonly (string | null)[]): string =>
  keys.map((key) => (key === null ? "none" : key || "(empty)")).join(" · ");

/** The filter that finds the runs of one group. */
export function filterOf(query: GroupQuery, keys: readonly (string | null)[]): string {
  const clauses = query.by.map((name, at) => {
    const field = fieldNamed(name);
    const place = field ? written(field.entity, field.key) : name;
    const key = keys[at];
    return key === null || key === undefined ? `${place} IS NULL` : equals(place, key);
  });
  return [query.filter, ...clauses].filter((part) => part.trim()).join(" AND ");
}

/** Of a normal distribution, this many errors of the mean either way hold 95 in a hundred. */
const ERRORS = 1.96;

/** The series that is drawn for a group: its middle, and as `low` and `high` the edges of its band. */
export function bandSeries(band: WireBand, key: string, centre: Centre, kind: BandKind): Series {
  const half = (band.column - 1) / 2;
  const x = axisFrom(band.x).map((place) => place + half);
  const mid = numbers(centre === "mean" ? band.mean : band.median);
  const smooth = centre === "mean" ? band.smooth : band.smooth_median;
  const [low, high] = edges(band, kind);
  return {
    run: `group ${groupId(band.keys ?? [])}`,
    key,
    total: band.points,
    count: band.points,
    isRaw: false,
    firstStep: x.length ? (x[0] as number) - half : 0,
    lastStep: x.length ? (x.at(-1) as number) : 0,
    x,
    low,
    high,
    mid,
    smooth: smooth ? numbers(smooth) : undefined,
    odd: [],
  };
}

function edges(band: WireBand, kind: BandKind): [Float64Array, Float64Array] {
  if (kind === "minmax") return [numbers(band.low), numbers(band.high)];
  if (kind === "quartiles") return [numbers(band.lower), numbers(band.upper)];
  const mean = numbers(band.mean);
  const far = Float64Array.from(band.std, (std, at) => {
    // one run alone does not spread
    const size = std === null ? 0 : (toNumber(std) ?? 0);
    return kind === "std" ? size : (ERRORS * size) / Math.sqrt(band.counts[at] ?? 1);
  });
  return [
    mean.map((value, at) => value - (far[at] as number)),
    mean.map((value, at) => value + (far[at] as number)),
  ];
}

const numbers = (wire: readonly ApiNumber[]): Float64Array =>
  Float64Array.from(wire, (value) => toNumber(value) ?? Number.NaN);
