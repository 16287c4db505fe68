/** The groups that an experiment's runs fall into by params and tags: how many runs each has, its look, and its runs once it is opened. */

import { useMemo } from "preact/hooks";
import { own } from "../api/request";
import { type Resource, useResource } from "../api/resource";
import { readTable, rowsOf } from "../runs/table";
import { filterOf, type GroupQuery, groupId, groupLabel } from "./bands";
import type { DrawnRun } from "./chart_card";

export interface RunGroup {
  readonly id: string;
  readonly keys: readonly (string | null)[];
  readonly label: string;
  readonly runs: number;
  readonly slot: number;
  /** Nothing until it is opened and they are read; at most `MOST_MEMBERS`. */
  readonly members: readonly DrawnRun[] | undefined;
}

export interface RunGroups {
  readonly query: GroupQuery;
  /** Of how many groups those of most runs are shown, and how many runs are in all of them. */
  readonly total: number;
  readonly runs: number;
  readonly groups: readonly RunGroup[];
  readonly byId: ReadonlyMap<string, RunGroup>;
}

interface GroupsPage {
  total: number;
  runs: number;
  groups: { keys: (string | null)[]; runs: number }[];
}

export const MOST_MEMBERS = 50;
const inOrder = new Intl.Collator("en", { numeric: true }).compare;

export function useRunGroups(
  query: GroupQuery | undefined,
  opened: readonly string[],
): { groups: RunGroups | undefined; resource: Resource<GroupsPage | undefined> } {
  const resource = useResource(JSON.stringify(query ?? ""), async (abort) =>
    query ? own.post<GroupsPage>("runs/groups", query, abort) : undefined,
  );
  const page = resource.value.value;
  const asked = (page?.groups ?? []).filter((group) => opened.includes(groupId(group.keys)));
  const members = useResource(JSON.stringify([query, asked]), async (abort) => {
    const found = new Map<string, DrawnRun[]>();
    if (query)
      await Promise.all(
        asked.map(async ({ keys }) => {
          const { experiment_ids, view_type } = query;
          const wanted = {
            experiment_ids,
            view_type,
            filter: filterOf(query, keys),
            order_by: [],
            columns: [],
          };
          const rows = rowsOf(await readTable(wanted, 0, MOST_MEMBERS, abort));
          found.set(
            groupId(keys),
            rows.map((run) => ({ id: run.id, name: run.name || run.id.slice(0, 8), slot: 0 })),
          );
        }),
      );
    return found;
  });
  const known = members.value.value;
  const groups = useMemo(() => {
    if (!query || !page || page.groups.some((group) => group.keys.length !== query.by.length))
      return undefined;
    const listed = page.groups
      .map(({ keys, runs }) => ({ id: groupId(keys), keys, label: groupLabel(keys), runs }))
      .sort((one, other) => inOrder(one.label, other.label))
      .map((group, slot): RunGroup => {
        const isOpen = opened.includes(group.id);
        const own = isOpen ? known?.get(group.id)?.map((run) => ({ ...run, slot })) : undefined;
        return { ...group, slot, members: own };
      });
    return {
      query,
      total: page.total,
      runs: page.runs,
      groups: listed,
      byId: new Map(listed.map((group) => [group.id, group])),
    };
  }, [JSON.stringify(query), page, known, opened.join()]);
  return { groups, resource };
}
