/**
 * The series of a chart while it is in sight: the whole, the level that is zoomed into, and what is logged meanwhile.
 * What is there stays until the next comes.
 */

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { again } from "../api/again";
import { ApiError } from "../api/request";
import { useLive } from "../app/live";
import { type Asked, readSeries } from "./envelope";
import { appended, isBehind, overMetric, type Series } from "./series";
import type { XKind } from "./settings";

export interface SeriesWanted {
  readonly runs: readonly string[];
  readonly key: string;
  readonly x: XKind | { readonly metric: string };
  readonly zoom: readonly [number, number] | undefined;
  readonly width: number;
  readonly smoothing: number;
  readonly isInSight: boolean;
  /** Whose changes the page follows already; else those of the runs are. */
  readonly experiment: string | undefined;
}

export interface SeriesFound {
  readonly series: Signal<readonly Series[] | undefined>;
  readonly error: Signal<ApiError | undefined>;
  readonly isLoading: Signal<boolean>;
  /** What of time `series` is of, where points were logged without steps. */
  readonly isByTime: Signal<boolean>;
  reload(): void;
}

/** While the window moves under a key or a drag, only where it stops is read. */
const CALM_MS = 120;
/** Points come in at most this often. */
const LIVE_MS = 200;
/** Where all that is shown has to be read for it. */
const WHOLE_MS = 1000;

export function useSeries(wanted: SeriesWanted): SeriesFound {
  const source = useMemo(() => new Source(), []);
  const runs = wanted.runs.join();
  const key = JSON.stringify([wanted.key, wanted.x, Math.ceil(wanted.width / 100), wanted.smoothing]);
  const zoomKey = wanted.zoom?.join("~") ?? "";
  source.wanted = wanted;
  const isReady = wanted.isInSight && wanted.width > 0;
  useEffect(() => {
    if (isReady) source.show(key, zoomKey);
  }, [key, runs, zoomKey, isReady]);
  useEffect(() => source.stop, []);
  const live = useRef(wanted.runs);
  live.current = wanted.runs;
  useLive(wanted.experiment ? { experiments: [wanted.experiment] } : { runs: wanted.runs }, (changes) =>
    source.changed(changes.isReset ? live.current : live.current.filter((run) => changes.runs.has(run))),
  );
  return source;
}

class Source implements SeriesFound {
  readonly series = signal<readonly Series[] | undefined>(undefined);
  readonly error = signal<ApiError | undefined>(undefined);
  readonly isLoading = signal(true);
  readonly isByTime = signal(false);
  wanted!: SeriesWanted;
  #whole: readonly Series[] | undefined;
  /** Those that were read and are followed, also where they have no such metric. */
  #runs: ReadonlySet<string> = new Set();
  #key = "";
  #zoom = "";
  #current: AbortController | undefined;
  #calm: ReturnType<typeof setTimeout> | undefined;
  #changed = new Set<string>();
  #tail: ReturnType<typeof setTimeout> | undefined;
  #isReadingTail = false;
  #lastTail = Number.NEGATIVE_INFINITY;
  #pause = LIVE_MS;
  readonly #retry = again(() => this.reload());

  show(key: string, zoom: string): void {
    // what is logged of runs that are not drawn is not followed: one that comes back is read again
    const wanted = new Set(this.wanted.runs);
    this.#runs = new Set([...this.#runs].filter((run) => wanted.has(run)));
    if (key === this.#key && zoom === this.#zoom && this.series.peek() && !this.#lacksRuns()) {
      if (this.#changed.size) this.#plan();
      return;
    }
    const isOther = key !== this.#key || this.#lacksRuns();
    this.#key = key;
    this.#zoom = zoom;
    clearTimeout(this.#calm);
    if (isOther) this.#whole = undefined;
    if (!zoom && this.#whole) {
      this.#current?.abort();
      this.series.value = this.#whole;
      this.isLoading.value = false;
      if (this.#changed.size) this.#plan();
    } else if (zoom && this.series.peek()) this.#calm = setTimeout(() => void this.#read(), CALM_MS);
    else void this.#read();
  }

  /** Whether a run is wanted that was not read, or not followed since; those that are wanted no more are only not drawn. */
  #lacksRuns(): boolean {
    return this.wanted.runs.some((run) => !this.#runs.has(run));
  }

  reload(): void {
    this.#whole = undefined;
    void this.#read();
  }

  readonly stop = (): void => {
    this.#current?.abort();
    clearTimeout(this.#calm);
    clearTimeout(this.#tail);
    this.#retry.settled();
  };

  /** Runs of which something was logged. */
  changed(runs: readonly string[]): void {
    for (const run of runs) this.#changed.add(run);
    if (this.wanted.isInSight && this.series.peek()) this.#plan();
  }

  #plan(): void {
    if (this.#tail !== undefined || this.#isReadingTail) return;
    this.#tail = setTimeout(
      () => {
        this.#tail = undefined;
        this.#lastTail = performance.now();
        void this.#readTail();
      },
      Math.max(0, this.#lastTail + this.#pause - performance.now()),
    );
  }

  #xKind(): XKind {
    const { x } = this.wanted;
    if (typeof x !== "string") return "step";
    return x === "step" && this.isByTime.peek() ? "time" : x;
  }

  #asked(start: number | undefined, end: number | undefined): Asked {
    const { runs, key, width, smoothing } = this.wanted;
    return { runs, key, x: this.#xKind(), start, end, width: 100 * Math.ceil(width / 100), smoothing };
  }

  async #fetch(asked: Asked, abort: AbortSignal): Promise<readonly Series[]> {
    const { x } = this.wanted;
    if (asked.runs.length === 0) return [];
    if (typeof x === "string") return readSeries(asked, abort);
    const [own, others] = await Promise.all([
      readSeries({ ...asked, smoothing: 0 }, abort),
      readSeries({ ...asked, key: x.metric, smoothing: 0 }, abort),
    ]);
    const byRun = new Map(others.map((series) => [series.run, series]));
    return own.flatMap((series) => {
      const other = byRun.get(series.run);
      return other ? [overMetric(series, other)] : [];
    });
  }

  /** `isQuiet` where the same is read again, for new points. */
  async #read(isQuiet = false): Promise<void> {
    this.#current?.abort();
    const mine = new AbortController();
    this.#current = mine;
    if (!isQuiet) this.isLoading.value = true;
    const { x } = this.wanted;
    // what another metric lies along is found in the whole only
    let zoom = typeof x === "string" ? this.wanted.zoom : undefined;
    const changed = [...this.#changed];
    this.#changed.clear();
    // it lacks what is read now, and may be shown again before this is there
    if (changed.length) this.#whole = undefined;
    this.#runs = new Set(this.wanted.runs);
    try {
      let found = await this.#fetch(this.#asked(zoom?.[0], zoom?.[1]), mine.signal);
      if (this.#current !== mine) return;
      // all at one step: logged without steps, so that time is what tells the points apart
      const isFlat =
        found.some((series) => series.total > 1) &&
        found.every((series) => series.firstStep === series.lastStep);
      if (x === "step" && found.length && isFlat !== this.isByTime.peek()) {
        this.isByTime.value = isFlat;
        zoom = undefined; // it was of the other axis
        found = await this.#fetch(this.#asked(undefined, undefined), mine.signal);
        if (this.#current !== mine) return;
      }
      if (!zoom) this.#whole = found;
      this.series.value = found;
      this.error.value = undefined;
      this.#retry.settled();
    } catch (error) {
      this.#missed(changed);
      if (mine.signal.aborted) return;
      this.#runs = new Set();
      this.#retry.failed(error);
      this.error.value = error instanceof ApiError ? error : new ApiError(String(error), -1, "PAGE_FAULT");
    }
    this.isLoading.value = false;
    this.#goOn();
  }

  /** Read what changed meanwhile. After a failure all is read again by itself, or what is refused when more is logged. */
  #goOn(): void {
    if (this.#changed.size && !this.error.peek()) this.#plan();
  }

  /** Of these runs nothing was read after all. */
  #missed(runs: readonly string[]): void {
    for (const run of runs) this.#changed.add(run);
  }

  /** Read what came after the last points, of the runs that changed. */
  async #readTail(): Promise<void> {
    const shown = this.series.peek();
    const runs = [...this.#changed].filter((run) => this.wanted.runs.includes(run));
    if (!shown || runs.length === 0) {
      this.#changed.clear();
      return;
    }
    const { zoom, width, x } = this.wanted;
    const ends = runs.map((run) => shown.find((series) => series.run === run)?.x.at(-1));
    const isNew = ends.some((end) => end === undefined);
    const isFull = shown.some((series) => runs.includes(series.run) && series.x.length > 3 * width);
    this.#isReadingTail = true;
    // of a part that is zoomed into, nothing tells whether points came within it
    if (zoom || typeof x !== "string" || isNew || isFull) await this.#readAgain();
    else await this.#append(shown, runs, Math.min(...ends.map((end) => end ?? 0)));
    this.#isReadingTail = false;
    this.#goOn();
  }

  async #readAgain(): Promise<void> {
    this.#pause = WHOLE_MS;
    await this.#read(true);
  }

  async #append(shown: readonly Series[], runs: readonly string[], start: number): Promise<void> {
    const key = this.#key;
    this.#pause = LIVE_MS;
    this.#changed.clear();
    try {
      const mine = new AbortController();
      const tails = await this.#fetch({ ...this.#asked(start, undefined), runs }, mine.signal);
      const isSame = this.series.peek() === shown && this.#key === key && !this.wanted.zoom;
      const byRun = new Map(tails.map((series) => [series.run, series]));
      const grows = (series: Series) => byRun.get(series.run);
      const hasSteps = this.isByTime.peek() && tails.some((series) => series.firstStep !== series.lastStep);
      if (!isSame) {
        // what was read meanwhile may be without them
        this.#whole = undefined;
        this.#missed(runs);
      } else if (
        !hasSteps &&
        shown.every((series) => {
          const tail = grows(series);
          return !tail || isBehind(series, tail);
        })
      ) {
        this.series.value = shown.map((series) => {
          const tail = grows(series);
          return tail ? appended(series, tail) : series;
        });
        this.#whole = this.series.peek();
        this.error.value = undefined;
        this.#retry.settled();
      } else {
        // points came that are not behind the last one: steps went back, or are the same
        for (const run of runs) this.#changed.add(run);
        await this.#readAgain();
      }
    } catch (error) {
      this.#missed(runs);
      this.#retry.failed(error);
      if (error instanceof ApiError) this.error.value = error;
    }
  }
}
