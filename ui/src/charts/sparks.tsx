/**
 * Curves in a table's cells: `<SparkOf run metric />`. What the cells of a page ask for in the same moment is one request,
 * of a few numbers each; what was read is kept until the run changes.
 */

import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { own } from "../api/request";
import { seriesFrom, type WireSeries } from "./envelope";
import { Spark } from "./spark";

const PIXELS = 40;
const A_REQUEST = 200;
const MOST_KEPT = 5000;

/** `undefined` while it is not known; empty where the run has no such metric. */
type Curve = Signal<Float64Array | undefined>;

const kept = new Map<string, { curve: Curve; isFresh: boolean }>();
let wanted: { run: string; metric: string }[] = [];

const nameOf = (run: string, metric: string) => `${run} ${metric}`;

/** Read a run's curves anew when they are next shown, or at once where they are on the page. */
export function forgetSparks(runs: ReadonlySet<string>): void {
  for (const [name, entry] of kept) {
    const [run, ...metric] = name.split(" ") as [string, ...string[]];
    if (!runs.has(run)) continue;
    entry.isFresh = false;
    if (shown.has(name)) ask(run, metric.join(" "));
  }
}

const shown = new Map<string, number>();

function ask(run: string, metric: string): Curve {
  const name = nameOf(run, metric);
  let entry = kept.get(name);
  if (!entry) {
    entry = { curve: signal(undefined), isFresh: false };
    kept.set(name, entry);
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT) break;
      if (!shown.has(oldest)) kept.delete(oldest);
      else break;
    }
  }
  if (!entry.isFresh) {
    entry.isFresh = true;
    if (wanted.length === 0) setTimeout(send, 30);
    wanted.push({ run, metric });
  }
  return entry.curve;
}

function send(): void {
  const all = wanted;
  wanted = [];
  for (let at = 0; at < all.length; at += A_REQUEST) void sendOne(all.slice(at, at + A_REQUEST));
}

async function sendOne(asked: readonly { run: string; metric: string }[]): Promise<void> {
  try {
    const answer = await own.post<{ series: WireSeries[] }>("metrics/envelope", {
      series: asked.map(({ run, metric }) => ({ run_id: run, key: metric })),
      width: PIXELS,
      own_grid: true,
    });
    const found = new Map(answer.series.map((wire) => [nameOf(wire.run_id, wire.key), seriesFrom(wire).mid]));
    for (const { run, metric } of asked) {
      const entry = kept.get(nameOf(run, metric));
      if (entry) entry.curve.value = found.get(nameOf(run, metric)) ?? new Float64Array(0);
    }
  } catch {
    // a cell without its curve still has its number; the next time it is shown it is asked for again
    for (const { run, metric } of asked) kept.delete(nameOf(run, metric));
  }
}

/** The curve of a run's metric, as small as a word. */
export function SparkOf({ run, metric, width }: { run: string; metric: string; width?: number }) {
  const name = nameOf(run, metric);
  useEffect(() => {
    shown.set(name, (shown.get(name) ?? 0) + 1);
    return () => {
      const left = (shown.get(name) ?? 1) - 1;
      if (left) shown.set(name, left);
      else shown.delete(name);
    };
  }, [name]);
  const values = ask(run, metric).value;
  return <Spark values={values && values.length > 1 ? values : NOTHING} {...(width ? { width } : {})} />;
}

const NOTHING = new Float64Array(0);
