/**
 * Which runs are selected: some by name, and all that filters find, also those that nobody has scrolled to.
 *
 * A filter is that of the page, or that of a group. What it finds now is meant, so a selection in a link or one that
 * stands open follows the runs; before anything is done with it, how many are meant is said to the server, too.
 */

import { own } from "../api/request";
import { useResource } from "../api/resource";
import { filterOf } from "./groups";
import type { RunsState } from "./state";
import { type RunRow, readTable, type TableQuery } from "./table";

export interface Selection {
  readonly ids: readonly string[];
  readonly filters: readonly string[];
  /** Runs that the filters find and that are not selected. */
  readonly except: readonly string[];
}

export const NOTHING: Selection = { ids: [], filters: [], except: [] };

export const isEmpty = ({ ids, filters }: Selection) => ids.length === 0 && filters.length === 0;

/** Whether all that the page finds is selected, but for a few. */
export const isAll = (state: RunsState) => state.selection.filters.includes(state.filter);

/** Whether a row is there because of a selected filter. */
function isFound(row: RunRow, state: RunsState): boolean {
  if (isAll(state)) return true;
  const { filters } = state.selection;
  if (row.group) return filters.includes(filterOf(state.filter, state.by, row.group.keys));
  return row.of !== undefined && filters.includes(row.of);
}

export function isSelected(row: RunRow, state: RunsState): boolean {
  const { ids, except } = state.selection;
  return ids.includes(row.id) || (isFound(row, state) && !except.includes(row.id));
}

const without = (all: readonly string[], one: string) => all.filter((each) => each !== one);
const toggled = (all: readonly string[], one: string) =>
  all.includes(one) ? without(all, one) : [...all, one];

/** Select a run, or do not any more. */
export function toggleRun(row: RunRow, state: RunsState): Selection {
  const { selection } = state;
  return isFound(row, state)
    ? { ...selection, except: toggled(selection.except, row.id) }
    : { ...selection, ids: toggled(selection.ids, row.id) };
}

/** Select all that the page finds, or nothing where all of it is selected. */
export function toggleAll(state: RunsState): Selection {
  return isAll(state) && state.selection.except.length === 0
    ? NOTHING
    : { ...NOTHING, filters: [state.filter] };
}

/** Select the runs of a group, or do not any more; of all, they are the ones that stay. */
export function toggleGroup(keys: readonly (string | null)[], state: RunsState): Selection {
  const filter = filterOf(state.filter, state.by, keys);
  const filters = toggled(isAll(state) ? [] : state.selection.filters, filter);
  return { ...state.selection, filters, except: filters.length ? state.selection.except : [] };
}

const flat = ({ roots_only: _, ...query }: TableQuery): TableQuery => ({ ...query, columns: [] });

/** How many runs are selected; `undefined` until that is known. */
export function useSelectedCount(
  { ids, filters, except }: Selection,
  query: TableQuery,
): { count: number | undefined; reload: () => void } {
  const all = JSON.stringify([filters, query.experiment_ids, query.view_type]);
  const found = useResource(all, async (abort) => ({ all, total: await countFound(filters, query, abort) }));
  // A run can be named and found, too; and one that was taken out may not be found any more.
  const named = JSON.stringify([all, ids, except]);
  const isNamed = filters.length > 0 && ids.length + except.length > 0;
  const both = useResource(named, async (abort) => {
    const those = isNamed ? filters.map((filter) => withRuns(filter, [...new Set([...ids, ...except])])) : [];
    return { named, total: await countFound(those, query, abort) };
  });
  const total = found.value.value?.all === all ? found.value.value.total : undefined;
  const overlap = both.value.value?.named === named ? both.value.value.total : except.length;
  return {
    count: !filters.length ? ids.length : total === undefined ? undefined : total + ids.length - overlap,
    reload: () => {
      if (filters.length) void found.reload();
      if (isNamed) void both.reload();
    },
  };
}

async function countFound(filters: readonly string[], query: TableQuery, abort: AbortSignal) {
  const pages = await Promise.all(
    filters.map((filter) => readTable({ ...flat(query), filter }, 0, 1, abort)),
  );
  return pages.reduce((sum, page) => sum + page.total, 0);
}

function withRuns(filter: string, ids: readonly string[]): string {
  const those = `attributes.run_id IN (${ids.map((id) => `'${id.replace(/[^\w-]/g, "")}'`).join(", ")})`;
  return filter.trim() ? `${filter} AND ${those}` : those;
}

/** The ids of the selected runs, up to so many. */
export async function readIds(selection: Selection, query: TableQuery, most: number): Promise<string[]> {
  const { ids, filters, except } = selection;
  const limit = Math.min(1000, most + except.length);
  const pages = await Promise.all(filters.map((filter) => readTable({ ...flat(query), filter }, 0, limit)));
  const found = pages.flatMap((page) => page.run_ids).filter((id) => !except.includes(id));
  return [...new Set([...ids, ...found])].slice(0, most);
}

export type Operation =
  | { operation: "tag"; key: string; value: string }
  | { operation: "untag"; key: string }
  | { operation: "move"; value: string }
  | { operation: "delete" | "restore" };

export interface Done {
  readonly found: number;
  readonly changed: number;
  /** Makes it as it was before; nothing where the server could not tell what that is. */
  readonly undo: (() => Promise<unknown>) | undefined;
}

interface Answer {
  found: number;
  changed: number;
  run_ids: string[];
  before: (string | null)[] | null;
}

const isRemoval = (body: { operation: string; values?: (string | null)[] }) =>
  body.operation === "delete" || body.operation === "untag" || body.values?.includes(null);

function send(body: { operation: string; values?: (string | null)[]; [field: string]: unknown }) {
  return own.post<Answer>(isRemoval(body) ? "runs/bulk-delete" : "runs/bulk", body);
}

/** Do something with all selected runs, or with none of them if anything is in the way. */
export async function change(
  act: Operation,
  { ids, filters, except }: Selection,
  query: TableQuery,
  expected: number | undefined,
): Promise<Done> {
  const found = filters.length
    ? { filters, experiment_ids: query.experiment_ids, view_type: query.view_type, except_run_ids: except }
    : {};
  const { run_ids, before, ...done } = await send({ ...act, run_ids: ids, ...found, expected });
  return { ...done, undo: undoOf(act, run_ids, before) };
}

function undoOf(act: Operation, run_ids: string[], values: Answer["before"]): Done["undo"] {
  if (run_ids.length === 0) return undefined;
  if (act.operation === "delete") return () => send({ operation: "restore", run_ids });
  if (act.operation === "restore") return () => send({ operation: "delete", run_ids });
  if (!values) return undefined;
  if (act.operation === "move") return () => send({ operation: "move", run_ids, values });
  const { key } = act as { key: string };
  return () => send({ operation: "tag", key, run_ids, values });
}
