/** What the charts of a page share: where the cursor is. The zoom they share is in the address. */

import { type Signal, signal } from "@preact/signals";

export interface Cursor {
  readonly x: number;
  /** The chart that is pointed at. */
  readonly chart: string;
}

export interface Link {
  readonly cursor: Signal<Cursor | undefined>;
}

export const newLink = (): Link => ({ cursor: signal(undefined) });
