/**
 * What the pages of a Parquet column say of themselves, looked at before any is unpacked: a few bytes can stand for billions of
 * values, which would take the reader's memory.
 */

import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";

export interface Limits {
  /** Bytes of one page when it is unpacked, and of all. */
  readonly page: number;
  readonly bytes: number;
  readonly values: number;
}

export class TooLargeError extends Error {}

const DICTIONARY = 2;

/** Add up the pages of a column's bytes; each is counted against the limits, which may be those of several columns. */
export class PageCount {
  #bytes = 0;
  #values = 0;
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * @throws TooLargeError if there is more in them than a reader takes.
   * @throws Error if they are no pages.
   */
  add(column: Uint8Array): void {
    const view = new DataView(column.buffer, column.byteOffset, column.byteLength);
    const reader = { view, offset: 0 };
    while (reader.offset < column.length) {
      const page = deserializeTCompactProtocol(reader) as Record<string, unknown>;
      const unpacked = page.field_2;
      const packed = page.field_3;
      const header = (page.field_5 ?? page.field_7 ?? page.field_8 ?? {}) as Record<string, unknown>;
      const values = header.field_1 ?? (page.field_1 === DICTIONARY ? undefined : 0);
      if (!isSize(unpacked) || !isSize(packed) || !isSize(values))
        throw new Error("A page of a column does not say how large it is.");
      this.#bytes += unpacked;
      this.#values += values;
      if (
        unpacked > this.#limits.page ||
        this.#bytes > this.#limits.bytes ||
        this.#values > this.#limits.values
      )
        throw new TooLargeError();
      reader.offset += packed;
    }
  }
}

const isSize = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
