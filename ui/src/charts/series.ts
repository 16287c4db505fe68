/**
 * A metric of a run as it is drawn: every point, or for each column of pixels its lowest, highest and mean value.
 *
 * Nothing of what was logged is lost on the way: a single point of a million that stands out is the `high` of its column.
 */

export interface Series {
  readonly run: string;
  readonly key: string;
  /** How many points there are in all, and in the window that was read. */
  readonly total: number;
  readonly count: number;
  readonly isRaw: boolean;
  readonly firstStep: number;
  readonly lastStep: number;
  /** Ascending; what is not finite in `mid` breaks the line. */
  readonly x: Float64Array;
  /** The same array as `mid` where every point is here. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly mid: Float64Array;
  readonly smooth: Float64Array | undefined;
  /** Values that a line cannot have. */
  readonly odd: readonly Odd[];
}

export interface Odd {
  readonly x: number;
  readonly kind: "NaN" | "Infinity" | "-Infinity";
}

export const EMPTY = new Float64Array(0);

/** The place of the last x that is not beyond `value`, or −1. */
export function lastUpTo(x: Float64Array, value: number): number {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((x[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The place whose x is nearest to `value`, or −1 where there are none. */
export function nearest(x: Float64Array, value: number): number {
  const before = lastUpTo(x, value);
  if (before < 0) return x.length ? 0 : -1;
  if (before + 1 >= x.length) return before;
  return value - (x[before] as number) <= (x[before + 1] as number) - value ? before : before + 1;
}

/**
 * Whether what a line has nearest to x lies somewhere else, not only as close as given, so that it must be said. A column
 * is as wide as to the next.
 */
export function isElsewhere(series: Series, at: number, x: number, close: number): boolean {
  const here = series.x[at] as number;
  if (Math.abs(here - x) <= close) return false;
  if (series.isRaw) return true;
  const before = at > 0 ? here - (series.x[at - 1] as number) : Number.POSITIVE_INFINITY;
  const after = at + 1 < series.x.length ? (series.x[at + 1] as number) - here : Number.POSITIVE_INFINITY;
  const column = Math.min(before, after);
  return Number.isFinite(column) && Math.abs(here - x) > column;
}

/** Put points that came after the last one behind it; what is not after it is left out. */
export function appended(series: Series, tail: Series): Series {
  const end = series.x.length ? (series.x.at(-1) as number) : Number.NEGATIVE_INFINITY;
  const from = lastUpTo(tail.x, end) + 1;
  if (from >= tail.x.length) return series.total === tail.total ? series : { ...series, total: tail.total };
  const lineOf = (one: Float64Array, other: Float64Array) => {
    const rest = other.subarray(from);
    const joined = new Float64Array(one.length + rest.length);
    joined.set(one);
    joined.set(rest, one.length);
    return joined;
  };
  const mid = lineOf(series.mid, tail.mid);
  const isRaw = series.isRaw && tail.isRaw;
  const lastOdd = Math.max(end, series.odd.at(-1)?.x ?? end);
  return {
    ...series,
    total: tail.total,
    count: series.count + tail.total - series.total,
    isRaw,
    lastStep: tail.lastStep,
    x: lineOf(series.x, tail.x),
    mid,
    low: isRaw ? mid : lineOf(series.low, tail.low),
    high: isRaw ? mid : lineOf(series.high, tail.high),
    smooth: series.smooth && tail.smooth ? lineOf(series.smooth, tail.smooth) : undefined,
    odd: [...series.odd, ...tail.odd.filter((each) => each.x > lastOdd)],
  };
}

/** Whether all points that came since `series` was read lie behind its last one; else it must be read again as a whole. */
export function isBehind(series: Series, tail: Series): boolean {
  if (!tail.isRaw) return false;
  const end = series.x.length ? (series.x.at(-1) as number) : Number.NEGATIVE_INFINITY;
  const came = tail.x.length - (lastUpTo(tail.x, end) + 1);
  const grown = tail.total - series.total;
  // the last column's middle is before its last points, which come again
  return series.isRaw ? came === grown : came >= grown;
}

export interface Extent {
  readonly low: number;
  readonly high: number;
}

/** From the lowest to the highest value within a window of x; what lines cannot show is passed over. */
export function extentOf(
  all: readonly Series[],
  from: number,
  to: number,
  options: { onlyPositive?: boolean; smoothed?: boolean } = {},
): Extent {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const { onlyPositive } = options;
  const least = onlyPositive ? 0 : Number.NEGATIVE_INFINITY;
  for (const series of all) {
    const first = Math.max(0, lastUpTo(series.x, from));
    const last = Math.min(series.x.length - 1, lastUpTo(series.x, to) + 1);
    const lows = (options.smoothed && series.smooth) || series.low;
    const highs = (options.smoothed && series.smooth) || series.high;
    for (let at = first; at <= last; at++) {
      const one = lows[at] as number;
      const other = highs[at] as number;
      if (one < low && one > least) low = one;
      if (other > high && other < Number.POSITIVE_INFINITY) high = other;
      if (!onlyPositive || one > 0) continue;
      // of a column that reaches below zero, what else a logarithm has
      const middle = series.mid[at] as number;
      if (middle > 0 && middle < low) low = middle;
      if (other > 0 && other < low) low = other;
    }
  }
  return { low, high };
}

/**
 * The extent without outliers: 1 to 99 in a hundred of what is drawn, with room around. Points beyond it are marked by
 * arrows at the edge of the chart, so that they are not hidden.
 */
export function clippedExtent(all: readonly Series[], from: number, to: number): Extent {
  const values: number[] = [];
  for (const series of all) {
    const last = lastUpTo(series.x, to);
    for (let at = Math.max(0, lastUpTo(series.x, from)); at <= last; at++) {
      if (Number.isFinite(series.low[at])) values.push(series.low[at] as number);
      if (series.low !== series.high && Number.isFinite(series.high[at]))
        values.push(series.high[at] as number);
    }
  }
  if (values.length < 8) return extentOf(all, from, to);
  const sorted = Float64Array.from(values).sort();
  const low = sorted[Math.floor(sorted.length * 0.01)] as number;
  const high = sorted[Math.ceil(sorted.length * 0.99) - 1] as number;
  const room = (high - low) * 0.1;
  return {
    low: Math.max(sorted[0] as number, low - room),
    high: Math.min(sorted.at(-1) as number, high + room),
  };
}

/** Half of the smallest value beside zero that matters: where symlog goes from straight to logarithmic. */
export function straightPart(all: readonly Series[]): number {
  let top = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const { mid } of all)
    for (const value of mid) {
      const size = Math.abs(value);
      if (size === Number.POSITIVE_INFINITY) continue;
      if (size > top) top = size;
      if (size > 0 && size < smallest) smallest = size;
    }
  return Number.isFinite(smallest) ? Math.max(smallest, top / 1e6) : 1;
}

/**
 * A series over the values of another metric of its run: joined where their x is the same, and between the other's points
 * where it is not.
 */
export function overMetric(series: Series, other: Series): Series {
  const x: number[] = [];
  const at: number[] = [];
  for (let index = 0; index < series.x.length; index++) {
    const where = series.x[index] as number;
    const before = lastUpTo(other.x, where);
    if (before < 0) continue;
    const start = other.x[before] as number;
    const value = other.mid[before] as number;
    const next = before + 1 < other.x.length ? (other.x[before + 1] as number) : start;
    const part = next > start ? (where - start) / (next - start) : 0;
    const there = part > 0 ? value + part * ((other.mid[before + 1] as number) - value) : value;
    if (Number.isFinite(there)) {
      x.push(there);
      at.push(index);
    }
  }
  // lines go from left to right, whatever way the other metric went
  const order = x.map((_, index) => index).sort((one, two) => (x[one] as number) - (x[two] as number));
  const pick = (values: Float64Array) =>
    Float64Array.from(order, (index) => values[at[index] as number] as number);
  const mid = pick(series.mid);
  return {
    ...series,
    isRaw: series.isRaw && other.isRaw,
    x: Float64Array.from(order, (index) => x[index] as number),
    mid,
    low: series.low === series.mid ? mid : pick(series.low),
    high: series.high === series.mid ? mid : pick(series.high),
    smooth: series.smooth && pick(series.smooth),
    odd: [],
  };
}
