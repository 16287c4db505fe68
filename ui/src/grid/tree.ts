/** Rows of which some are open: their children stand below them, read when they are opened. One level deep at a time. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { RowSource, Rows } from "./rows";

interface Opened<R> {
  readonly key: string;
  /** Where the parent was last seen among the roots. */
  at: number;
  readonly children: TreeRows<R>;
}

/** How far from where it was a parent is looked for when rows have come or gone. */
const MOVED_BY = 400;

/** A row, and how deep it is. */
export interface TreeRow<R> {
  readonly row: R;
  readonly depth: number;
  readonly isOpen: boolean;
  /** It stands for the rows below `row`, which could not be read: why not, and a way to read them again. */
  readonly failure?: { readonly error: unknown; readonly retry: () => void };
}

/** Whether the rows below could not be read, and none are there from before. */
const isFailed = <R>({ children }: Opened<R>) =>
  children.roots.total.value === undefined && children.roots.error.value !== undefined;

/** How many rows stand below. */
const sizeOf = <R>(opened: Opened<R>) => opened.children.total.value ?? (isFailed(opened) ? 1 : 0);

export type ReadChildren<R> = (parent: R) => Rows<R>;

export class TreeRows<R> implements RowSource<TreeRow<R>> {
  readonly version: ReadonlySignal<number>;
  readonly total: ReadonlySignal<number | undefined>;
  readonly #all = signal<readonly Opened<R>[]>([]);
  /** What is open, where it is now: rows that come above it move it, and children without their parent are not shown. */
  readonly #opened: ReadonlySignal<readonly Opened<R>[]>;

  constructor(
    readonly roots: Rows<R>,
    private readonly childrenOf: ReadChildren<R>,
    private readonly keyOf: (row: R) => string,
    private readonly depth = 0,
  ) {
    this.#opened = computed(() => {
      void roots.version.value;
      return this.#all.value.filter((each) => this.#find(each)).sort((a, b) => a.at - b.at);
    });
    this.total = computed(() => {
      const own = roots.total.value;
      if (own === undefined) return undefined;
      return this.#opened.value.reduce((sum, each) => sum + sizeOf(each), own);
    });
    this.version = computed(() =>
      this.#opened.value.reduce(
        // twice, so that a fault and its end are two changes
        (sum, each) => sum + 2 * each.children.version.value + 1 + (isFailed(each) ? 1 : 0),
        roots.version.value,
      ),
    );
  }

  /** Look where an opened row is now; where nothing was read, it is taken to be where it was. */
  #find(opened: Opened<R>): boolean {
    const { at, key } = opened;
    const isAt = (index: number) => {
      const row = this.roots.get(index);
      return row !== undefined && this.keyOf(row) === key;
    };
    if (isAt(at) || this.roots.get(at) === undefined) return at < (this.roots.total.peek() ?? at + 1);
    for (let by = 1; by <= MOVED_BY; by++)
      for (const index of [at + by, at - by])
        if (index >= 0 && isAt(index)) {
          opened.at = index;
          return true;
        }
    return false;
  }

  get(index: number): TreeRow<R> | undefined {
    const place = this.#place(index);
    const { inside } = place;
    if (inside && isFailed(inside)) {
      const row = this.roots.get(inside.at);
      const { children } = inside;
      const failure = { error: children.roots.error.value, retry: () => children.want(0, 1) };
      return row === undefined ? undefined : { row, depth: this.depth + 1, isOpen: false, failure };
    }
    if (inside) return inside.children.get(place.index);
    const row = this.roots.get(place.index);
    if (row === undefined) return undefined;
    return { row, depth: this.depth, isOpen: this.#opened.value.some((each) => each.at === place.index) };
  }

  want(first: number, end: number): void {
    const from = this.#place(first);
    const to = this.#place(Math.max(first, end - 1));
    const firstRoot = from.inside ? from.inside.at : from.index;
    const lastRoot = to.inside ? to.inside.at : to.index;
    this.roots.want(firstRoot, lastRoot + 1);
    for (const each of this.#opened.value) {
      if (each.at < firstRoot || each.at > lastRoot) continue;
      const start = this.#startOf(each);
      const count = each.children.total.value ?? 1;
      each.children.want(Math.max(0, first - start), Math.max(1, Math.min(count, end - start)));
    }
  }

  /** Open a row, or close it. */
  toggle(index: number): void {
    const place = this.#place(index);
    if (place.inside) {
      if (isFailed(place.inside)) return;
      place.inside.children.toggle(place.index);
      return;
    }
    const row = this.roots.get(place.index);
    if (row === undefined) return;
    const key = this.keyOf(row);
    const there = this.#all.value.find((each) => each.key === key);
    if (there) {
      there.children.stop();
      this.#all.value = this.#all.value.filter((each) => each !== there);
      return;
    }
    const children = new TreeRows(this.childrenOf(row), this.childrenOf, this.keyOf, this.depth + 1);
    children.want(0, 1);
    this.#all.value = [...this.#all.value, { key, at: place.index, children }];
  }

  /** Read again what was in sight last. */
  refresh(): void {
    this.roots.refresh();
    for (const each of this.#all.value) each.children.refresh();
  }

  stop(): void {
    this.roots.stop();
    for (const each of this.#all.value) each.children.stop();
  }

  /** Where the children of an opened row begin. */
  #startOf(opened: Opened<R>): number {
    let start = opened.at + 1;
    for (const each of this.#opened.value) if (each.at < opened.at) start += sizeOf(each);
    return start;
  }

  /** From an index among all rows to one among the roots, or among somebody's children. */
  #place(index: number): { index: number; inside?: Opened<R> } {
    let before = 0;
    for (const each of this.#opened.value) {
      const start = each.at + 1 + before;
      if (index < start) break;
      const count = sizeOf(each);
      if (index < start + count) return { index: index - start, inside: each };
      before += count;
    }
    return { index: index - before };
  }
}
