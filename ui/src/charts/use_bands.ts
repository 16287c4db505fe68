/** The bands of a chart while it is in sight, read again while runs log; what is there stays until the next comes. */

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { again } from "../api/again";
import { ApiError, own } from "../api/request";
import { useLive } from "../app/live";
import type { BandsAsked, BandsPage, GroupQuery } from "./bands";
import type { XKind } from "./settings";
import { wireInteger } from "./wire_axis";

export interface BandsWanted {
  /** Nothing where runs are drawn one by one. */
  readonly query: GroupQuery | undefined;
  readonly key: string;
  readonly x: XKind;
  readonly zoom: readonly [number, number] | undefined;
  readonly width: number;
  readonly smoothing: number;
  readonly isInSight: boolean;
}

export interface BandsFound {
  readonly page: Signal<BandsPage | undefined>;
  readonly error: Signal<ApiError | undefined>;
  readonly isLoading: Signal<boolean>;
  readonly isByTime: Signal<boolean>;
  reload(): void;
}

/** The server sums up all runs for each chart: the others wait, so that the first ones come first and the page can ask other things. */
const AT_ONCE = 2;
let underWay = 0;
const waiting: (() => void)[] = [];

async function readBands(asked: BandsAsked, abort: AbortSignal): Promise<BandsPage> {
  if (underWay >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else underWay++;
  try {
    abort.throwIfAborted();
    return await own.post<BandsPage>("metrics/bands", asked, abort);
  } finally {
    const next = waiting.shift();
    if (next) next();
    else underWay--;
  }
}

/** While the window moves under a key or a drag, only where it stops is read. */
const CALM_MS = 120;
/** All runs are summed up anew each time, so that it is done seldom, and the more seldom the longer it takes. */
const LIVE_MS = 2000;
const LIVE_SHARE = 10;

export function useBands(wanted: BandsWanted): BandsFound {
  const source = useMemo(() => new Source(), []);
  const { query, key, x, smoothing, zoom } = wanted;
  // half as many columns as pixels: a mean of many runs is no finer
  const width = 50 * Math.ceil(wanted.width / 100);
  const whole = query && JSON.stringify([query, key, x, width, smoothing]);
  const zoomKey = zoom?.join("~") ?? "";
  source.wanted = { ...wanted, width };
  const isReady = wanted.isInSight && wanted.width > 0 && query !== undefined;
  useEffect(() => {
    if (isReady && whole) source.show(whole, zoomKey);
  }, [whole, zoomKey, isReady]);
  useEffect(() => source.stop, []);
  useLive({ experiments: query?.experiment_ids ?? [] }, source.changed);
  return source;
}

class Source implements BandsFound {
  readonly page = signal<BandsPage | undefined>(undefined);
  readonly error = signal<ApiError | undefined>(undefined);
  readonly isLoading = signal(true);
  readonly isByTime = signal(false);
  wanted!: BandsWanted;
  #shown = "";
  #whole: { key: string; page: BandsPage } | undefined;
  #current: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStale = false;
  #took = 0;
  #last = Number.NEGATIVE_INFINITY;
  readonly #retry = again(() => this.reload());

  show(whole: string, zoom: string): void {
    const key = `${whole} ${zoom}`;
    if (key === this.#shown && !this.#isStale && this.page.peek()) return;
    this.#shown = key;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!zoom && this.#whole?.key === whole && !this.#isStale) {
      this.#current?.abort();
      this.page.value = this.#whole.page;
      this.isLoading.value = false;
    } else if (zoom && this.page.peek()) this.#timer = setTimeout(() => void this.#read(whole), CALM_MS);
    else void this.#read(whole);
  }

  reload(): void {
    void this.#read("");
  }

  readonly stop = (): void => {
    this.#current?.abort();
    clearTimeout(this.#timer);
    this.#retry.settled();
  };

  readonly changed = (): void => {
    this.#isStale = true;
    this.#whole = undefined;
    if (!this.wanted.query || !this.wanted.isInSight || !this.page.peek()) return;
    if (this.#timer !== undefined) return;
    const pause = Math.max(LIVE_MS, LIVE_SHARE * this.#took);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#read("");
      },
      Math.max(0, this.#last + pause - performance.now()),
    );
  };

  async #read(whole: string): Promise<void> {
    const { query } = this.wanted;
    let { zoom } = this.wanted;
    if (!query) return;
    this.#timer = undefined;
    this.#current?.abort();
    const mine = new AbortController();
    this.#current = mine;
    this.isLoading.value = true;
    this.#isStale = false;
    const began = performance.now();
    try {
      let found = await readBands(this.#asked(query, zoom), mine.signal);
      if (this.wanted.x === "step" && !this.isByTime.peek()) {
        // nothing where the others are zoomed to: all of it tells whether it has steps
        const isOut = zoom && found.groups.every((group) => axisSize(group.x) === 0);
        const all = isOut ? await readBands(this.#asked(query, undefined), mine.signal) : found;
        // all at one step: logged without steps, so that time is what tells the points apart
        const isFlat = all.groups.every((group) => axisSize(group.x) <= 1);
        const isMany = all.groups.some((group) => group.points > group.runs);
        if ((isOut || !zoom) && isFlat && isMany) {
          this.isByTime.value = true;
          zoom = undefined; // it is of steps
          found = await readBands(this.#asked(query, undefined), mine.signal);
        }
      }
      if (this.#current !== mine) return;
      if (!zoom && whole) this.#whole = { key: whole, page: found };
      this.page.value = found;
      this.error.value = undefined;
      this.#retry.settled();
    } catch (error) {
      if (mine.signal.aborted) return;
      this.#retry.failed(error);
      this.error.value = error instanceof ApiError ? error : new ApiError(String(error), -1, "PAGE_FAULT");
    }
    this.#last = performance.now();
    this.#took = this.#last - began;
    this.isLoading.value = false;
    if (this.#isStale) this.changed();
  }

  #asked(query: GroupQuery, zoom: BandsWanted["zoom"]): BandsAsked {
    const { key, x, width, smoothing } = this.wanted;
    return {
      ...query,
      key,
      x: x === "step" && this.isByTime.peek() ? "time" : x,
      width,
      ...(zoom ? { start: wireInteger(Math.floor(zoom[0])), end: wireInteger(Math.ceil(zoom[1])) } : {}),
      ...(smoothing ? { smoothing } : {}),
    };
  }
}

const axisSize = (axis: { count?: number | null; deltas?: number[] | null }) =>
  axis.deltas ? axis.deltas.length + 1 : (axis.count ?? 0);
