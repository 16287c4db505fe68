/**
 * Unpacks Parquet files beside the page, which stays alive whatever is in them and can end it. It has no token: bytes of the
 * file come from the page.
 */

import { TooLargeError } from "../formats/parquet_pages";
import { type RowsFound, type RowsWanted, readRows } from "../formats/parquet_rows";

export type FromWorker =
  | { readonly want: readonly [start: number, end: number] }
  | { readonly found: RowsFound }
  | { readonly isTooLarge: boolean; readonly failure: string };
export type ToWorker = { readonly rows: RowsWanted } | { readonly bytes: ArrayBuffer };

const here = globalThis as unknown as {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
};
let waiting: ((bytes: ArrayBuffer) => void) | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** One after the other, so that an answer belongs to the only question there is. */
function readBytes(start: number, end: number): Promise<ArrayBuffer> {
  const read = queue.then(
    () =>
      new Promise<ArrayBuffer>((resolve) => {
        waiting = resolve;
        here.postMessage({ want: [start, end] });
      }),
  );
  queue = read;
  return read;
}

here.onmessage = ({ data }) => {
  if ("bytes" in data) waiting?.(data.bytes);
  else
    readRows(data.rows, readBytes).then(
      (found) => here.postMessage({ found }),
      (error: unknown) =>
        here.postMessage({
          isTooLarge: error instanceof TooLargeError,
          failure: String(error).slice(0, 300),
        }),
    );
};
