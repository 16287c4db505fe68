/** Rows of a table that is too large to be read whole: read in blocks where the user looks, a few blocks kept. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { again } from "../api/again";

export interface Block<R> {
  readonly total: number;
  readonly rows: readonly R[];
  /** Something of it comes with the next answer only: it is shown, and read again at once. */
  readonly isPart?: boolean;
}

/** What a grid shows. */
export interface RowSource<R> {
  /** How many rows there are; `undefined` before the first answer. */
  readonly total: ReadonlySignal<number | undefined>;
  /** Changes when rows have come. */
  readonly version: ReadonlySignal<number>;
  get(index: number): R | undefined;
  /** Be told what is in sight, so that it and what is beside it is read. */
  want(first: number, end: number): void;
  /** Give up what is under way. */
  stop(): void;
}

export type ReadBlock<R> = (offset: number, limit: number, abort: AbortSignal) => Promise<Block<R>>;

/** Two of them, what is in sight and what is beside it, stay below 40 kB with twelve columns. */
export const BLOCK_ROWS = 150;
const KEPT_BLOCKS = 60;
/** While rows fly past, only where they stop is read. */
const CALM_MS = 40;

export class Rows<R> implements RowSource<R> {
  readonly total: Signal<number | undefined> = signal(undefined);
  readonly version = signal(0);
  readonly error: Signal<unknown> = signal(undefined);
  readonly #blocks = new Map<number, readonly R[]>();
  readonly #coming = new Map<number, AbortController>();
  /** Blocks that were to be read again while they came: the answer may be of before what changed. */
  readonly #again = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStale = false;
  #seen = { first: 0, end: 1 };
  readonly #retry = again(() => this.refresh());

  constructor(
    private readonly read: ReadBlock<R>,
    private readonly blockRows = BLOCK_ROWS,
  ) {}

  get(index: number): R | undefined {
    const block = this.#blocks.get(Math.floor(index / this.blockRows));
    return block?.[index % this.blockRows];
  }

  want(first: number, end: number): void {
    this.#seen = { first, end };
    const from = Math.floor(Math.max(0, first) / this.blockRows);
    const last = Math.floor(Math.max(first, end - 1) / this.blockRows);
    const here: number[] = [];
    for (let block = from; block <= last; block++) here.push(block);
    const isHere = here.every((block) => this.#blocks.has(block));
    clearTimeout(this.#timer);
    const readNow = () => {
      for (const block of here) this.#load(block);
      if (end > (last + 0.5) * this.blockRows) this.#load(last + 1);
      if (first < (from + 0.5) * this.blockRows) this.#load(from - 1);
      for (const [block, coming] of this.#coming)
        if (block < from - 1 || block > last + 1) {
          coming.abort();
          this.#coming.delete(block);
        }
    };
    if (isHere || this.total.peek() === undefined) readNow();
    else this.#timer = setTimeout(readNow, CALM_MS);
  }

  /** Read again what was in sight last; what is there stays until the answer. */
  refresh(): void {
    const { first, end } = this.#seen;
    this.#isStale = true;
    const from = Math.floor(Math.max(0, first) / this.blockRows);
    const last = Math.floor(Math.max(first, end - 1) / this.blockRows);
    for (const block of [...this.#blocks.keys()])
      if (block < from || block > last) this.#blocks.delete(block);
    for (const [block, coming] of this.#coming)
      if (block >= from && block <= last) this.#again.add(block);
      else {
        coming.abort();
        this.#coming.delete(block);
      }
    for (let block = from; block <= last; block++) this.#load(block);
    this.#isStale = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const coming of this.#coming.values()) coming.abort();
    this.#coming.clear();
    this.#again.clear();
    this.#retry.settled();
  }

  #load(block: number): void {
    const total = this.total.peek();
    if (block < 0 || (total !== undefined && total > 0 && block * this.blockRows >= total)) return;
    if ((this.#blocks.has(block) && !this.#isStale) || this.#coming.has(block)) return;
    const mine = new AbortController();
    this.#coming.set(block, mine);
    this.read(block * this.blockRows, this.blockRows, mine.signal)
      .then((found) => {
        this.#blocks.delete(block); // so that it is the newest of the map
        this.#blocks.set(block, found.rows);
        if (found.isPart) this.#again.add(block);
        for (const oldest of this.#blocks.keys()) {
          if (this.#blocks.size <= KEPT_BLOCKS) break;
          this.#blocks.delete(oldest);
        }
        this.total.value = found.total;
        this.error.value = undefined;
        this.version.value++;
        this.#retry.settled();
      })
      .catch((error: unknown) => {
        if (mine.signal.aborted) return;
        this.error.value = error;
        this.#retry.failed(error);
      })
      .finally(() => {
        if (this.#coming.get(block) !== mine) return;
        this.#coming.delete(block);
        if (!this.#again.delete(block)) return;
        this.#isStale = true;
        this.#load(block);
        this.#isStale = false;
      });
  }
}
