/** Runs as rows: from the server's columns to what a table asks for. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { own } from "../api/request";
import type { ExperimentMessage } from "../api/schema";
import { Rows } from "../grid/rows";
import { TreeRows } from "../grid/tree";
import type { ApiNumber } from "../lib/format";
import { isCurve } from "./columns";
import type { GroupFacts } from "./groups";

export interface TableColumn {
  key: string;
  kind: "number" | "text" | "time";
  values: (ApiNumber | string)[];
  range?: [number, number] | null;
  /** Of a metric, between what numbers the children of each row lie. */
  child_ranges?: ([number, number] | null)[] | null;
}

export interface TablePage {
  total: number;
  offset: number;
  cursor?: string;
  run_ids: string[];
  names: string[];
  statuses: string[];
  start_times: (number | null)[];
  end_times: (number | null)[];
  quiet_since?: (number | null)[];
  experiment_ids?: string[];
  children?: number[] | null;
  /** Whether all ranges that were asked for are there. */
  complete?: boolean;
  columns: TableColumn[];
  /** With the first rows: what they are of. */
  experiments?: ExperimentMessage[] | null;
}

export interface TableQuery {
  experiment_ids: readonly string[];
  filter: string;
  view_type: "ACTIVE_ONLY" | "DELETED_ONLY";
  order_by: readonly string[];
  /** `undefined` lets the server choose those that tell the runs apart. */
  columns: readonly string[] | undefined;
  roots_only?: boolean;
  parent_run_id?: string;
}

/** A run in a table; its values are in the order of the asked columns. */
export interface RunRow {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly start: number | null;
  readonly end: number | null;
  /** Of a run that runs and gives no signs of life: when it logged last, or began. */
  readonly quietSince: number | undefined;
  readonly experiment: string | undefined;
  readonly children: number;
  readonly values: readonly (ApiNumber | string | undefined)[];
  /** Between what numbers the metrics of nested runs lie, in the same order; only where there are such runs. */
  readonly below?: readonly (readonly [number, number] | undefined)[];
  /** The filter of the group that it is shown in. */
  readonly of?: string;
  /** The row stands for a group of runs. */
  readonly group?: GroupFacts;
}

export interface RunRows {
  readonly rows: TreeRows<RunRow>;
  /** The same without what is open below it. */
  readonly roots: Rows<RunRow>;
  /** Of each column over all found runs, once known. */
  readonly ranges: Map<string, readonly [number, number]>;
  readonly kinds: Map<string, TableColumn["kind"]>;
  /** The columns, once they are known. */
  readonly names: ReadonlySignal<readonly string[] | undefined>;
  /** Whether any run that was read has nested ones. */
  readonly hasNested: ReadonlySignal<boolean>;
  /** The experiment, which comes with the first rows; refused where they did not come. */
  readonly about: Promise<ExperimentMessage | undefined>;
  /** How many runs there are in all groups; nothing where each row is a run. */
  readonly runs?: ReadonlySignal<number | undefined>;
}

const COLUMNS_AT_FIRST = 12;

export async function readTable(
  query: TableQuery,
  offset: number,
  limit: number,
  abort?: AbortSignal,
): Promise<TablePage> {
  const columns = query.columns?.filter((name) => !isCurve(name));
  const chosen = columns === undefined ? { auto_columns: COLUMNS_AT_FIRST } : {};
  const isTree = query.roots_only || query.parent_run_id !== undefined;
  const body = {
    ...query,
    columns,
    ...chosen,
    offset,
    limit,
    with_ranges: offset === 0,
    with_experiments: offset === 0 && query.parent_run_id === undefined,
    with_child_ranges: isTree,
  };
  const page = await own.post<TablePage>("runs/table", body, abort);
  return query.columns === columns || !query.columns ? page : withCurves(page, query.columns);
}

/** Give columns that the server does not know their places. */
function withCurves(page: TablePage, names: readonly string[]): TablePage {
  const found = new Map(page.columns.map((column) => [column.key, column]));
  const empty = (key: string): TableColumn => ({ key, kind: "text", values: [] });
  return { ...page, columns: names.map((name) => found.get(name) ?? empty(name)) };
}

export function rowsOf(page: TablePage): RunRow[] {
  return page.run_ids.map((id, index) => ({
    id,
    name: page.names[index] ?? "",
    status: page.statuses[index] ?? "",
    start: page.start_times[index] ?? null,
    end: page.end_times[index] ?? null,
    quietSince: page.quiet_since?.[index] ?? undefined,
    experiment: page.experiment_ids?.[index],
    children: page.children?.[index] ?? 0,
    values: page.columns.map((column) => column.values[index]),
    ...(page.children?.[index]
      ? { below: page.columns.map((column) => column.child_ranges?.[index] ?? undefined) }
      : {}),
  }));
}

/** The rows that a query finds, read where the user looks; of runs with nested ones, those below them once they are opened. */
export function tableRows(query: TableQuery, known?: readonly string[]): RunRows {
  const ranges: RunRows["ranges"] = new Map();
  const kinds: RunRows["kinds"] = new Map();
  const names = signal(query.columns ?? known);
  const hasNested = signal(false);
  const first = firstPage();
  const rowsFor = (asked: TableQuery) => {
    let parts = 0;
    return new Rows<RunRow>(async (offset, limit, abort) => {
      const page = await first.watch(readTable({ ...asked, columns: names.value }, offset, limit, abort));
      names.value ??= page.columns.map((column) => column.key);
      for (const column of page.columns) {
        kinds.set(column.key, column.kind);
        if (column.range && !asked.parent_run_id) ranges.set(column.key, column.range);
      }
      if (page.children?.some((each) => each > 0)) hasNested.value = true;
      // Of a large experiment that nobody has looked at yet, ranges come with later answers, one column a time at least.
      parts = page.complete === false ? parts + 1 : 0;
      const isPart = parts > 0 && parts <= page.columns.length + 1;
      return { total: page.total, rows: rowsOf(page), isPart };
    });
  };
  const roots = rowsFor(query);
  const childrenOf = (parent: RunRow) => {
    const { roots_only: _, ...rest } = query;
    return rowsFor({ ...rest, parent_run_id: parent.id });
  };
  const rows = new TreeRows(roots, childrenOf, (row) => row.id);
  return { rows, roots, ranges, kinds, names, hasNested, about: first.about };
}

/** What the first answer tells beside the rows. */
export function firstPage() {
  let tell: (experiment: ExperimentMessage | undefined) => void = () => {};
  let refuse: (fault: unknown) => void = () => {};
  const about = new Promise<ExperimentMessage | undefined>((resolve, reject) => {
    tell = resolve;
    refuse = reject;
  });
  about.catch(() => {}); // who asks is told; nobody may be asking
  const watch = async (reading: Promise<TablePage>) => {
    reading.then((page) => tell(page.experiments?.[0]), refuse);
    return reading;
  };
  return { about, watch };
}

/** The runs of a group, one below the other, with columns that are known. */
export function rowsFrom(
  query: TableQuery,
  names: ReadonlySignal<readonly string[] | undefined>,
): Rows<RunRow> {
  return new Rows<RunRow>(async (offset, limit, abort) => {
    const page = await readTable({ ...query, columns: names.value }, offset, limit, abort);
    return { total: page.total, rows: rowsOf(page).map((row) => ({ ...row, of: query.filter })) };
  });
}
