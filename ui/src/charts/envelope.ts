/**
 * Series as the server gives them for a number of pixels. What charts of one page ask for in the same moment is one
 * request; one that nobody waits for any more is given up.
 */

import { own } from "../api/request";
import { type ApiNumber, toNumber } from "../lib/format";
import { EMPTY, type Odd, type Series } from "./series";
import type { XKind } from "./settings";
import { axisFrom, type WireAxis, wireInteger } from "./wire_axis";

export interface Asked {
  readonly runs: readonly string[];
  readonly key: string;
  readonly x: XKind;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly width: number;
  readonly smoothing: number;
}

export interface WireSeries {
  run_id: string;
  key: string;
  /** Points of all of the series, and of the window. */
  total: number;
  count: number;
  first_step: number;
  last_step: number;
  raw: boolean;
  /** How wide columns are; `x` is where they begin. */
  column: number;
  x: WireAxis;
  y?: ApiNumber[] | null;
  low?: ApiNumber[] | null;
  high?: ApiNumber[] | null;
  mean?: ApiNumber[] | null;
  smooth?: ApiNumber[] | null;
  nan?: number[];
  infinite?: number[];
  minus_infinite?: number[];
}

/** The first charts come first: they do not wait for the points of all others. */
const FIRST_KEYS = 3;
const KEYS_A_REQUEST = 16;

interface Waiting {
  asked: Asked;
  resolve: (found: Series[]) => void;
  reject: (error: unknown) => void;
  abort: AbortSignal;
}

let queue: Waiting[] = [];

export function readSeries(asked: Asked, abort: AbortSignal): Promise<Series[]> {
  return new Promise((resolve, reject) => {
    if (queue.length === 0) setTimeout(send);
    queue.push({ asked, resolve, reject, abort });
  });
}

function send(): void {
  const groups = new Map<string, Waiting[]>();
  for (const waiting of queue) {
    const { runs, x, start, end, width, smoothing } = waiting.asked;
    const name = JSON.stringify([runs, x, start, end, width, smoothing]);
    const group = groups.get(name);
    if (group) group.push(waiting);
    else groups.set(name, [waiting]);
  }
  queue = [];
  for (const group of groups.values()) {
    void sendOne(group.slice(0, FIRST_KEYS));
    for (let at = FIRST_KEYS; at < group.length; at += KEYS_A_REQUEST)
      void sendOne(group.slice(at, at + KEYS_A_REQUEST));
  }
}

async function sendOne(group: readonly Waiting[]): Promise<void> {
  const abort = new AbortController();
  let left = group.length;
  for (const each of group)
    each.abort.addEventListener("abort", () => {
      left--;
      if (left === 0) abort.abort();
    });
  const { runs, x, start, end, width, smoothing } = (group[0] as Waiting).asked;
  const body: Record<string, unknown> = {
    run_ids: runs,
    keys: [...new Set(group.map((each) => each.asked.key))],
    x,
    width,
  };
  if (start !== undefined) body.start = wireInteger(Math.floor(start));
  if (end !== undefined) body.end = wireInteger(Math.ceil(end));
  if (smoothing) body.smoothing = smoothing;
  try {
    const answer = await own.post<{ series: WireSeries[] }>("metrics/envelope", body, abort.signal);
    const found = answer.series.map(seriesFrom);
    for (const each of group) each.resolve(found.filter((series) => series.key === each.asked.key));
  } catch (error) {
    for (const each of group) each.reject(error);
  }
}

export function seriesFrom(wire: WireSeries): Series {
  const odd: Odd[] = [
    ...(wire.nan ?? []).map((x) => ({ x, kind: "NaN" as const })),
    ...(wire.infinite ?? []).map((x) => ({ x, kind: "Infinity" as const })),
    ...(wire.minus_infinite ?? []).map((x) => ({ x, kind: "-Infinity" as const })),
  ].sort((one, other) => one.x - other.x);
  const about = {
    run: wire.run_id,
    key: wire.key,
    total: wire.total,
    count: wire.count,
    isRaw: wire.raw,
    firstStep: wire.first_step,
    lastStep: wire.last_step,
    odd,
  };
  const x = axisFrom(wire.x);
  const smooth = wire.smooth ? numbersFrom(wire.smooth) : undefined;
  if (wire.raw) {
    const said = withOdd(x, numbersFrom(wire.y ?? []), smooth, odd);
    return { ...about, x, ...said, low: said.mid, high: said.mid };
  }
  // a column stands for what is in it, so that its place is its middle
  const half = (wire.column - 1) / 2;
  for (let at = 0; at < x.length; at++) x[at] = (x[at] as number) + half;
  const low = numbersFrom(wire.low ?? []);
  const high = numbersFrom(wire.high ?? []);
  return { ...about, x, low, high, mid: numbersFrom(wire.mean ?? []), smooth };
}

const NOT_FINITE = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
} as const;

/** Say what was logged where the wire has null, which is what JSON has instead; a smooth line goes on over it. */
function withOdd(
  x: Float64Array,
  mid: Float64Array,
  smooth: Float64Array | undefined,
  odd: readonly Odd[],
): Pick<Series, "mid" | "smooth"> {
  let next = 0;
  for (let at = 0; at < mid.length && next < odd.length; at++) {
    if (!Number.isNaN(mid[at])) continue;
    const here = x[at] as number;
    while (next < odd.length && (odd[next] as Odd).x < here) next++;
    const found = odd[next];
    if (!found || found.x > here) continue;
    mid[at] = NOT_FINITE[found.kind];
    if (smooth && at) smooth[at] = smooth[at - 1] as number;
    // of several at one place each is used once, the last of them for what is left
    if (odd[next + 1]?.x === here) next++;
  }
  return { mid, smooth };
}

function numbersFrom(wire: readonly ApiNumber[]): Float64Array {
  if (wire.length === 0) return EMPTY;
  const found = new Float64Array(wire.length);
  for (let at = 0; at < wire.length; at++) found[at] = toNumber(wire[at]) ?? Number.NaN;
  return found;
}
