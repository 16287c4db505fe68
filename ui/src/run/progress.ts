/** How far a run is, and when it will be done: by what it says itself, of what it logs. */

import type { RunFacts } from "./run_data";

export interface Progress {
  /** "step" or "epoch". */
  readonly what: string;
  readonly done: number;
  readonly total: number;
  /** When it was so far. */
  readonly at: number;
  /** What says how far it goes. */
  readonly by: string;
}

/** A tag that anybody can set. */
export const TOTAL_TAG = "slipstream.total_steps";
/** Params of the libraries that people train with. */
const STEPS = ["max_steps", "total_steps", "num_steps", "n_steps", "num_iterations", "num_boost_round"];
const EPOCHS = ["num_train_epochs", "max_epochs", "num_epochs", "n_epochs", "epochs"];

export function progressOf(run: Pick<RunFacts, "tags" | "params" | "metrics">): Progress | undefined {
  const params = new Map(run.params.map((each) => [each.key, each.value ?? ""]));
  const own = run.metrics.filter((metric) => !metric.key.startsWith("system/"));
  const epoch = own.find((metric) => metric.key === "epoch");
  const furthest = own.reduce<(typeof own)[number] | undefined>(
    (most, metric) => (most && most.step >= metric.step ? most : metric),
    undefined,
  );
  const tagged = whole(run.tags.get(TOTAL_TAG));
  if (furthest && tagged) return far("step", furthest.step, tagged, furthest.time, TOTAL_TAG);
  if (furthest)
    for (const key of STEPS) {
      const total = whole(params.get(key));
      if (total) return far("step", furthest.step, total, furthest.time, key);
    }
  if (epoch)
    for (const key of EPOCHS) {
      const total = whole(params.get(key));
      if (total) return far("epoch", epoch.last, total, epoch.time, key);
    }
  return undefined;
}

/** More than was said is no progress that one could tell anything by. */
function far(what: string, done: number, total: number, at: number, by: string): Progress | undefined {
  return done >= 0 && done <= total ? { what, done, total, at, by } : undefined;
}

function whole(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}

/** Milliseconds until it is done at its speed so far; `undefined` where that cannot be told yet. */
export function timeLeft(progress: Progress, start: number | undefined, now: number): number | undefined {
  const { done, total, at } = progress;
  if (start === undefined || done <= 0 || at <= start) return undefined;
  if (done >= total) return undefined;
  const each = (at - start) / done;
  const left = (total - done) * each - (now - at);
  return left > 0 ? left : undefined;
}

/** A time that nobody knows exactly: "40 s", "10 min", "3.5 h". */
export function roughly(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 90) return `${Math.max(1, Math.round(seconds / 5) * 5)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return hours < 10 ? `${Math.round(hours * 2) / 2} h` : `${Math.round(hours)} h`;
}
