/**
 * Series as the server gives them for a number of pixels. What charts of one page ask for in the same moment is one
 * request; one that nobody waits for any more is given up.
 */

import { own } from "../api/request";
import { type ApiNumber, toNumber } from "../lib/format";
import { EMPTY, type Odd, type Series } from "./series";
import type { XKind } from "./settings";

export interface Asked {
  readonly runs: readonly string[];
  readonly key: string;
  readonly x: XKind;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly width: number;
  readonly smoothing: number;
}

/** Numbers as they come: plain, or evenly spaced, or as differences. */
type WireNumbers = ApiNumber[] | { start: number; step: number; count: number } | { deltas: number[] };

export interface WireSeries {
  run_id: string;
  key: string;
  count: number;
  first_step: number | null;
  last_step: number | null;
  raw: boolean;
  x: WireNumbers;
  y?: ApiNumber[];
  low?: ApiNumber[];
  high?: ApiNumber[];
  mean?: ApiNumber[];
  smooth?: ApiNumber[] | null;
  odd?: [number, string][] | null;
}

/** As many keys go into one request; more would make the first chart wait for the last. */
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
  for (const group of groups.values())
    for (let at = 0; at < group.length; at += KEYS_A_REQUEST)
      void sendOne(group.slice(at, at + KEYS_A_REQUEST));
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
  if (start !== undefined) body.start = start;
  if (end !== undefined) body.end = end;
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
  const x = numbersFrom(wire.x);
  const mid = numbersFrom((wire.raw ? wire.y : wire.mean) ?? []);
  const odd: Odd[] = (wire.odd ?? []).map(([at, kind]) => ({ x: at, kind: kind as Odd["kind"] }));
  if (wire.raw)
    for (let at = 0; at < mid.length; at++) {
      const value = mid[at] as number;
      if (Number.isFinite(value)) continue;
      odd.push({ x: x[at] as number, kind: String(value) as Odd["kind"] });
      mid[at] = Number.NaN;
    }
  const low = wire.raw ? mid : numbersFrom(wire.low ?? []);
  const high = wire.raw ? mid : numbersFrom(wire.high ?? []);
  return {
    run: wire.run_id,
    key: wire.key,
    count: wire.count,
    isRaw: wire.raw,
    firstStep: wire.first_step ?? 0,
    lastStep: wire.last_step ?? 0,
    x,
    low,
    high,
    mid,
    smooth: wire.smooth?.length ? numbersFrom(wire.smooth) : undefined,
    odd,
  };
}

function numbersFrom(wire: WireNumbers): Float64Array {
  if (Array.isArray(wire)) {
    if (wire.length === 0) return EMPTY;
    const found = new Float64Array(wire.length);
    for (let at = 0; at < wire.length; at++) found[at] = toNumber(wire[at]) ?? Number.NaN;
    return found;
  }
  if ("deltas" in wire) {
    const found = new Float64Array(wire.deltas.length);
    let sum = 0;
    for (let at = 0; at < found.length; at++) {
      sum += wire.deltas[at] as number;
      found[at] = sum;
    }
    return found;
  }
  return Float64Array.from({ length: wire.count }, (_, at) => wire.start + at * wire.step);
}
