/** Runs in groups: what they have in common, how many they are, and how each metric spreads among them. */

import { signal } from "@preact/signals";
import { own } from "../api/request";
import type { FindRunGroupsResponse, Spread } from "../api/schema";
import { Rows } from "../grid/rows";
import { TreeRows } from "../grid/tree";
import { withClause, withoutKey } from "../lib/filter_language";
import { toNumber } from "../lib/format";
import { fieldNamed, titleOf } from "./columns";
import { firstPage, type RunRow, type RunRows, readTable, rowsFrom, type TableQuery } from "./table";

/** Which of a metric's numbers a group shows. */
export const STATISTICS = ["mean", "median", "min", "max", "std"] as const;
export type Statistic = (typeof STATISTICS)[number];

export interface Grouping {
  /** Params, tags or attributes. */
  readonly by: readonly string[];
  readonly statistic: Statistic;
  readonly order: { readonly name: string; readonly isDescending: boolean } | undefined;
}

/** What a row of a group has that a run has not. */
export interface GroupFacts {
  /** Of each column of `by`; `null` where the runs have none. */
  readonly keys: readonly (string | null)[];
  readonly runs: number;
  /** In the order of the columns; nothing for those that are no metric's last value. */
  readonly spreads: readonly (Spread | undefined)[];
}

export const isMetric = (name: string) => {
  const field = fieldNamed(name);
  return field?.entity === "metrics" && field.aggregate === "last";
};

/** The filter that finds the runs of a group. */
export function filterOf(filter: string, by: readonly string[], keys: readonly (string | null)[]): string {
  return by.reduce((sum, name, index) => {
    const field = fieldNamed(name);
    const key = keys[index] ?? null;
    if (!field) return sum;
    return key === null
      ? withoutKey(sum, field.entity, field.key)
      : withClause(sum, field.entity, field.key, "=", key);
  }, filter);
}

export function groupTitle(by: readonly string[], keys: readonly (string | null)[]): string {
  return by
    .map((name, index) => {
      const field = fieldNamed(name);
      return `${field ? titleOf(field) : name} = ${keys[index] ?? "none"}`;
    })
    .join(" · ");
}

export interface GroupsPage {
  readonly total: number;
  readonly runs: number;
  readonly groups: readonly { keys: (string | null)[]; runs: number; spreads: (Spread | undefined)[] }[];
}

/** Read groups from a place on, with the spread of those of the columns that are metrics. */
export async function readGroups(
  query: TableQuery,
  names: readonly string[],
  { by, statistic, order }: Grouping,
  offset: number,
  limit: number,
  abort?: AbortSignal,
): Promise<GroupsPage> {
  const metrics = names.filter(isMetric);
  const isKnown = order && (metrics.includes(order.name) || by.includes(order.name));
  const body = {
    experiment_ids: query.experiment_ids,
    filter: query.filter,
    view_type: query.view_type,
    by,
    metrics,
    ...(isKnown ? { order_by: order.name, statistic, ascending: !order.isDescending } : {}),
    offset,
    limit,
  };
  const page = await own.post<FindRunGroupsResponse>("runs/groups", body, abort);
  return {
    total: page.total,
    runs: page.runs,
    groups: page.groups.map((group) => ({
      keys: group.keys,
      runs: group.runs,
      spreads: names.map((name) => (isMetric(name) ? group.metrics[metrics.indexOf(name)] : undefined)),
    })),
  };
}

/** The groups of what a query finds, as rows; the runs of each below it, once it is opened. */
export function groupRows(query: TableQuery, grouping: Grouping, known?: readonly string[]): RunRows {
  const ranges: RunRows["ranges"] = new Map();
  const kinds: RunRows["kinds"] = new Map();
  const names = signal(query.columns ?? known);
  const runs = signal<number | undefined>(undefined);
  const { roots_only: _, ...flat } = query;
  const first = firstPage();
  const roots = new Rows<RunRow>(async (offset, limit, abort) => {
    if (kinds.size === 0) {
      // which columns there are, and between what their values lie
      const page = await first.watch(readTable({ ...flat, columns: names.value }, 0, 1, abort));
      names.value ??= page.columns.map((column) => column.key);
      for (const column of page.columns) {
        kinds.set(column.key, column.kind);
        if (column.range) ranges.set(column.key, column.range);
      }
    }
    const shown = names.value ?? [];
    const page = await readGroups(flat, shown, grouping, offset, limit, abort);
    runs.value = page.runs;
    return {
      total: page.total,
      rows: page.groups.map((group) => rowOf(group, shown, grouping)),
    };
  });
  const childrenOf = (row: RunRow) =>
    rowsFrom({ ...flat, filter: filterOf(query.filter, grouping.by, row.group?.keys ?? []) }, names);
  return {
    rows: new TreeRows(roots, childrenOf, (row) => row.id),
    roots,
    ranges,
    kinds,
    names,
    hasNested: signal(false),
    about: first.about,
    runs,
  };
}

function rowOf(group: GroupsPage["groups"][number], names: readonly string[], grouping: Grouping): RunRow {
  const { by, statistic } = grouping;
  return {
    id: `group ${JSON.stringify(group.keys)}`,
    name: groupTitle(by, group.keys),
    status: "",
    start: null,
    end: null,
    quietSince: undefined,
    experiment: undefined,
    children: group.runs,
    values: names.map((name, index) => {
      if (by.includes(name)) return group.keys[by.indexOf(name)] ?? undefined;
      return group.spreads[index]?.[statistic] ?? undefined;
    }),
    group,
  };
}

/** What is behind a group's number, in words. */
export function spreadText(spread: Spread | undefined): string {
  if (!spread?.count) return "";
  const number = (value: unknown) => String(toNumber(value as number) ?? "");
  const parts = [`mean ${number(spread.mean)}`];
  if (spread.std !== undefined && spread.std !== null) parts.push(`± ${number(spread.std)}`);
  parts.push(`median ${number(spread.median)}`, `from ${number(spread.min)} to ${number(spread.max)}`);
  parts.push(`of ${spread.count} ${spread.count === 1 ? "run" : "runs"}`);
  return parts.join(", ").replace(", ±", " ±");
}
