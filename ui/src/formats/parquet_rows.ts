/** Rows of a Parquet file as texts, with bounds on what is read, unpacked and shown. Runs in a worker. */

import { gunzipSync } from "fflate";
import { decompress as unzstd } from "fzstd";
import { type FileMetaData, parquetMetadataAsync, parquetRead, snappyUncompress } from "hyparquet";
import { PageCount, TooLargeError } from "./parquet_pages";

export interface RowsWanted {
  readonly size: number;
  readonly first: number;
  /** At most so many. */
  readonly count: number;
}

export interface RowsFound {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly total: number;
  /** Names of columns that are too many or too large to be read with the others. */
  readonly left: readonly string[];
}

/** Read bytes from `start` up to before `end`. */
export type ReadBytes = (start: number, end: number) => Promise<ArrayBuffer>;

const MB = 1_000_000;
export const MOST = {
  columns: 200,
  /** Of one page, and of all that is read at a time: as it lies in the file, and unpacked. */
  page: 64 * MB,
  packed: 48 * MB,
  unpacked: 256 * MB,
  values: 20 * MB,
  cells: 500_000,
  letters: 1000,
} as const;

export async function readRows(wanted: RowsWanted, readBytes: ReadBytes): Promise<RowsFound> {
  const chunks: { start: number; bytes: Uint8Array }[] = [];
  const file = {
    byteLength: wanted.size,
    async slice(from: number, to = wanted.size): Promise<ArrayBuffer> {
      const start = from < 0 ? wanted.size + from : from;
      const end = Math.min(to, wanted.size);
      if (!(start >= 0 && end >= start)) throw new Error("It names bytes that the file does not have.");
      if (end - start > MOST.packed) throw new TooLargeError();
      const known = chunks.find((chunk) => start >= chunk.start && end <= chunk.start + chunk.bytes.length);
      if (!known) return readBytes(start, end);
      return known.bytes.slice(start - known.start, end - known.start).buffer as ArrayBuffer;
    },
  };
  const metadata = await parquetMetadataAsync(file, { initialFetchSize: Math.min(wanted.size, 64_000) });
  const total = Number(metadata.num_rows);
  const groups = groupsOf(metadata, wanted.first, wanted.first + wanted.count);
  const { chosen, left } = choose(groups);
  if (chosen.length === 0) {
    if (left.length) throw new TooLargeError();
    return { head: [], rows: [], total, left };
  }
  const limits = { page: MOST.page, bytes: MOST.unpacked, values: MOST.values };
  const pages = new PageCount(limits);
  for (const group of groups) {
    const ranges = group.columns
      .filter((column) => chosen.includes(column.meta_data?.path_in_schema[0] ?? ""))
      .map((column) => rangeOf(column.meta_data));
    const start = Math.min(...ranges.map((range) => range.start));
    const end = Math.max(...ranges.map((range) => range.end));
    // columns lie beside each other: one request for all, unless others lie between
    const isDense = end - start <= MOST.packed;
    const whole = isDense ? new Uint8Array(await file.slice(start, end)) : undefined;
    if (whole) chunks.push({ start, bytes: whole });
    for (const range of ranges) {
      const bytes = whole
        ? whole.subarray(range.start - start, range.end - start)
        : new Uint8Array(await file.slice(range.start, range.end));
      if (!whole) chunks.push({ start: range.start, bytes });
      pages.add(bytes);
    }
  }
  const most = Math.max(1, Math.floor(MOST.cells / chosen.length));
  let rows: unknown[][] = [];
  await parquetRead({
    file,
    metadata,
    columns: chosen,
    rowStart: wanted.first,
    rowEnd: Math.min(total, wanted.first + Math.min(wanted.count, most)),
    compressors: COMPRESSORS,
    utf8: false, // what is not said to be text may be anything
    onComplete: (found) => {
      rows = found as unknown[][];
    },
  });
  return { head: chosen, rows: rows.map((row) => chosen.map((_, at) => cellText(row[at]))), total, left };
}

type Group = FileMetaData["row_groups"][number];
type Column = Group["columns"][number]["meta_data"];

/** The groups of rows that have some of those from `first` up to before `end`. */
function groupsOf(metadata: FileMetaData, first: number, end: number): Group[] {
  const found: Group[] = [];
  let at = 0;
  for (const group of metadata.row_groups) {
    const next = at + Number(group.num_rows);
    if (next > first && at < end) found.push(group);
    at = next;
  }
  return found;
}

/** As many columns from the first on as a page takes; a column is read with all that is in it. */
function choose(groups: readonly Group[]): { chosen: string[]; left: string[] } {
  const sizes = new Map<string, { packed: number; unpacked: number; values: number }>();
  for (const { columns } of groups)
    for (const { meta_data } of columns) {
      const name = meta_data?.path_in_schema[0];
      if (!meta_data || name === undefined) throw new Error("A column is not described.");
      const size = sizes.get(name) ?? { packed: 0, unpacked: 0, values: 0 };
      size.packed += Number(meta_data.total_compressed_size);
      size.unpacked += Number(meta_data.total_uncompressed_size);
      size.values += Number(meta_data.num_values);
      sizes.set(name, size);
    }
  const sum = { packed: 0, unpacked: 0, values: 0 };
  const chosen: string[] = [];
  const left: string[] = [];
  for (const [name, size] of sizes) {
    const fits =
      chosen.length < MOST.columns &&
      sum.packed + size.packed <= MOST.packed &&
      sum.unpacked + size.unpacked <= MOST.unpacked &&
      sum.values + size.values <= MOST.values;
    if (!fits) left.push(name);
    else {
      chosen.push(name);
      for (const kind of ["packed", "unpacked", "values"] as const) sum[kind] += size[kind];
    }
  }
  return { chosen, left };
}

function rangeOf(column: Column): { start: number; end: number } {
  if (!column) throw new Error("A column is not described.");
  const dictionary = Number(column.dictionary_page_offset ?? 0);
  const data = Number(column.data_page_offset);
  const start = dictionary > 0 && dictionary < data ? dictionary : data;
  return { start, end: start + Number(column.total_compressed_size) };
}

/** Pages were counted before: none is larger than a page may be. */
const COMPRESSORS = {
  SNAPPY(input: Uint8Array, length: number): Uint8Array {
    const found = new Uint8Array(length);
    snappyUncompress(input, found);
    return found;
  },
  GZIP: (input: Uint8Array, length: number): Uint8Array => gunzipSync(input, { out: new Uint8Array(length) }),
  ZSTD: (input: Uint8Array, length: number): Uint8Array => unzstd(input, new Uint8Array(length)),
};

/** A value as a table shows it; of long ones the beginning. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value.slice(0, MOST.letters);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "no date" : value.toISOString();
  if (value instanceof Uint8Array) return bytesText(value);
  if (typeof value !== "object") return String(value);
  return (JSON.stringify(value, plain) ?? "").slice(0, MOST.letters);
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return bytesText(value);
  return value;
}

const SHOWN_BYTES = 32;
const text = new TextDecoder("utf-8", { fatal: true });

/** Old writers did not say of texts that they are; other bytes are shown as digits. */
function bytesText(bytes: Uint8Array): string {
  try {
    const found = text.decode(bytes.subarray(0, MOST.letters));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what no text has
    if (!/[\0-\x08\x0e-\x1f]/.test(found)) return found;
  } catch {
    // no text
  }
  return hexOf(bytes);
}

const hexOf = (bytes: Uint8Array) =>
  Array.from(bytes.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("") +
  (bytes.length > SHOWN_BYTES ? "…" : "");
