/**
 * Means of groups of runs: for each place of x the mean over the group's runs, and as a band their lowest and highest value
 * or the standard deviation between them. A run counts where it has points around, not before its first or after its last.
 */

import type { Series } from "./series";

export interface Group {
  readonly value: string;
  readonly runs: number;
  readonly series: Series;
}

/** More places than this do not show. */
const MOST_PLACES = 2000;

const inOrder = new Intl.Collator("en", { numeric: true }).compare;

/** Which look each group has: the same in all charts, also where some have no run of a group. */
export function groupSlots(groupOf: ReadonlyMap<string, string>): Map<string, number> {
  return new Map([...new Set(groupOf.values())].sort(inOrder).map((value, slot) => [value, slot]));
}

export function groupsOf(
  all: readonly Series[],
  groupOf: (run: string) => string,
  band: "minmax" | "std",
): Group[] {
  const members = new Map<string, Series[]>();
  for (const series of all) {
    if (series.x.length === 0) continue;
    const value = groupOf(series.run);
    const group = members.get(value);
    if (group) group.push(series);
    else members.set(value, [series]);
  }
  return [...members]
    .sort(([one], [other]) => inOrder(one, other))
    .map(([value, group]) => ({ value, runs: group.length, series: meanOf(group, value, band) }));
}

function meanOf(group: readonly Series[], value: string, band: "minmax" | "std"): Series {
  const x = placesOf(group);
  const size = x.length;
  const sums = new Float64Array(size);
  const squares = new Float64Array(size);
  const counts = new Float64Array(size);
  const smooths = new Float64Array(size);
  const low = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  const isSmoothed = group.every((series) => series.smooth);
  for (const series of group) {
    let at = 0;
    const end = series.x.length - 1;
    for (let place = 0; place < size; place++) {
      const where = x[place] as number;
      if (where < (series.x[0] as number) || where > (series.x[end] as number)) continue;
      while (at < end && (series.x[at + 1] as number) <= where) at++;
      const mid = between(series.x, series.mid, at, where);
      if (!Number.isFinite(mid)) continue;
      sums[place] = (sums[place] as number) + mid;
      squares[place] = (squares[place] as number) + mid * mid;
      counts[place] = (counts[place] as number) + 1;
      low[place] = Math.min(low[place] as number, between(series.x, series.low, at, where));
      high[place] = Math.max(high[place] as number, between(series.x, series.high, at, where));
      if (series.smooth)
        smooths[place] = (smooths[place] as number) + between(series.x, series.smooth, at, where);
    }
  }
  const mid = sums.map((sum, place) => (counts[place] ? sum / (counts[place] as number) : Number.NaN));
  for (let place = 0; place < size; place++) {
    if (!counts[place]) low[place] = high[place] = Number.NaN;
    else if (band === "std") {
      const mean = mid[place] as number;
      const spread = Math.sqrt(
        Math.max(0, (squares[place] as number) / (counts[place] as number) - mean * mean),
      );
      low[place] = mean - spread;
      high[place] = mean + spread;
    }
  }
  const first = group[0] as Series;
  return {
    ...first,
    run: `group ${value}`,
    total: group.reduce((sum, series) => sum + series.total, 0),
    count: group.reduce((sum, series) => sum + series.count, 0),
    isRaw: false,
    firstStep: Math.min(...group.map((series) => series.firstStep)),
    lastStep: Math.max(...group.map((series) => series.lastStep)),
    x,
    low,
    high,
    mid,
    smooth: isSmoothed
      ? smooths.map((sum, place) => (counts[place] ? sum / (counts[place] as number) : Number.NaN))
      : undefined,
    odd: [],
  };
}

/** Every x that any of them has; of very many, as many as show. */
function placesOf(group: readonly Series[]): Float64Array {
  const size = group.reduce((sum, series) => sum + series.x.length, 0);
  const all = new Float64Array(size);
  let at = 0;
  for (const series of group) {
    all.set(series.x, at);
    at += series.x.length;
  }
  all.sort();
  const found = all.filter((value, place) => place === 0 || value !== all[place - 1]);
  if (found.length <= MOST_PLACES) return found;
  const every = found.length / MOST_PLACES;
  return Float64Array.from({ length: MOST_PLACES }, (_, place) => found[Math.floor(place * every)] as number);
}

/** The value at a place between two points; where one of them is none, that of the other only at its own place. */
function between(x: Float64Array, values: Float64Array, at: number, where: number): number {
  const from = x[at] as number;
  const value = values[at] as number;
  if (where === from || at + 1 >= x.length) return value;
  const to = x[at + 1] as number;
  return value + ((where - from) / (to - from)) * ((values[at + 1] as number) - value);
}
