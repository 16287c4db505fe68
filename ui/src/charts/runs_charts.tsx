/** The metrics of many runs of an experiment, a line each: the first runs of the table, the selected or the pinned ones. */

import "../styles/charts.css";
import { useMemo, useRef } from "preact/hooks";
import { ApiError } from "../api/request";
import { useResource } from "../api/resource";
import { useCalmReload } from "../app/calm";
import { useLive } from "../app/live";
import { go, pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { isDark } from "../app/theme";
import { count } from "../lib/format";
import { readColumns } from "../runs/column_picker";
import { fieldNamed, orderTerm } from "../runs/columns";
import { litRun } from "../runs/lit";
import type { RunsState } from "../runs/state";
import { readTable, rowsOf } from "../runs/table";
import { AllRuns } from "./all_runs";
import type { DrawnRun } from "./chart_card";
import { ChartGrid } from "./chart_grid";
import { GroupChoice } from "./group_choice";
import { GroupList } from "./group_list";
import { groupSlots } from "./groups";
import { HowMany } from "./how_many";
import { newLink } from "./link";
import { markAt, slotOf } from "./marks";
import { foundText, SHORTCUTS } from "./run_charts";
import { useRunGroups } from "./run_groups";
import { matching } from "./search";
import { type ChartSettings, keepHidden, keepPinned, MOST_RUNS, readSettings } from "./settings";
import { Swatch } from "./swatch";
import { ChartToolbar } from "./toolbar";

const MOST_COLUMNS = 1000;
const MOST_GROUPINGS = 60;
const CALM_MS = 2000;

interface Props {
  readonly experiment: string;
  readonly state: RunsState;
  /** The columns of the table; groups are offered by its params and tags. */
  readonly names: readonly string[];
}

export function RunsCharts({ experiment, state, names }: Props) {
  const settings = readSettings();
  const link = useMemo(newLink, []);
  const order = state.order && orderTerm(state.order.name, state.order.isDescending);
  const query = {
    experiment_ids: [experiment],
    filter: state.filter,
    view_type: state.isTrash ? ("DELETED_ONLY" as const) : ("ACTIVE_ONLY" as const),
    order_by: order ? [order] : [],
    columns: settings.groupBy,
  };
  const table = useResource(JSON.stringify([query, settings.most]), (abort) =>
    readTable(query, 0, settings.most, abort),
  );
  const extra = [...new Set([...settings.pinned, ...state.selection.ids])];
  const byId = useResource(JSON.stringify([experiment, extra, settings.groupBy]), async (abort) =>
    extra.length
      ? readTable(
          {
            ...query,
            filter: filterOfRuns(extra),
            order_by: [],
          },
          0,
          100,
          abort,
        )
      : undefined,
  );
  const known = useResource(JSON.stringify([experiment, state.filter]), (abort) =>
    readColumns([experiment], state.filter, "", MOST_COLUMNS, abort),
  );
  const isBanded = settings.groupBy.length > 0 && typeof settings.x === "string";
  const grouping = isBanded
    ? {
        experiment_ids: [experiment],
        filter: state.selection.ids.length ? filterOfRuns(state.selection.ids) : state.filter,
        view_type: query.view_type,
        by: settings.groupBy,
        limit: settings.most,
      }
    : undefined;
  const { groups: foundGroups, resource: groupsPage } = useRunGroups(grouping, settings.opened);
  const groups = useStable(foundGroups);
  const tableSoon = useCalmReload(table, CALM_MS, CALM_MS);
  const knownSoon = useCalmReload(known, CALM_MS, CALM_MS);
  const groupsSoon = useCalmReload(groupsPage, CALM_MS, CALM_MS);
  useLive({ experiments: [experiment] }, () => {
    tableSoon();
    knownSoon();
    if (isBanded) groupsSoon();
  });
  useShortcuts(SHORTCUTS);

  const page = table.value.value;
  const added = byId.value.value;
  const listed = useMemo(() => {
    const first = page ? rowsOf(page) : [];
    const others = added ? rowsOf(added) : [];
    const here = state.selection.ids.length
      ? others.filter((run) => state.selection.ids.includes(run.id))
      : first;
    const pinned = others.filter((run) => settings.pinned.includes(run.id));
    const all = [...pinned, ...here.filter((run) => !settings.pinned.includes(run.id))];
    return all.map((run) => ({ id: run.id, name: run.name || run.id.slice(0, 8), slot: slotOf(run.id) }));
  }, [page, added, state.selection.ids.join(), settings.pinned.join()]);
  const grouped = useStable(
    settings.groupBy.length && !isBanded
      ? [...(page ? rowsOf(page) : []), ...(added ? rowsOf(added) : [])].map(
          (run) => [run.id, run.values.map((value) => String(value ?? "none")).join(" · ")] as const,
        )
      : undefined,
  );
  const groupOf = useMemo(() => grouped && new Map(grouped), [grouped]);
  const drawn = isBanded ? (groups?.groups ?? []).flatMap((group) => group.members ?? []) : listed;
  const shown = useStable(drawn.filter((run) => !settings.hidden.includes(run.id)));
  const keys = useMemo(
    () =>
      (known.value.value?.columns ?? [])
        .map((column) => fieldNamed(column.key))
        .flatMap((field) => (field?.entity === "metrics" ? [field.key] : [])),
    [known.value.value],
  );
  const stableKeys = useStable(keys);
  const byName = useMemo(() => [...stableKeys].sort((one, other) => (one < other ? -1 : 1)), [stableKeys]);
  const metrics = useMemo(
    () => matching(settings.order === "name" ? byName : stableKeys, settings.search),
    [stableKeys, byName, settings.order, settings.search],
  );

  const error = table.error.value ?? known.error.value ?? groupsPage.error.value;
  if (error && !page) return <Failure error={error} retry={() => void table.reload()} />;
  if (!page || !known.value.value) return <Skeleton />;
  if (page.total === 0 && listed.length === 0)
    return (
      <Empty title={state.filter ? "No run fits the filter" : "No runs yet"}>
        {!state.filter && <p>What the runs of this experiment log is drawn here as it comes.</p>}
      </Empty>
    );
  const groupable = [
    ...names,
    ...known.value.value.columns.filter((column) => column.varies).map(({ key }) => key),
  ]
    .filter((name, at, all) => /^(params|tags)\./.test(name) && all.indexOf(name) === at)
    .slice(0, MOST_GROUPINGS);
  return (
    <div class="chart-page">
      <ChartToolbar settings={settings} metrics={byName} found={foundText(metrics.length, keys.length)}>
        <GroupChoice settings={settings} names={groupable} />
      </ChartToolbar>
      <AllRuns asked={{ ...query, columns: undefined }} names={names} />
      <div class="beside">
        {groups ? (
          <GroupList experiment={experiment} groups={groups} settings={settings} />
        ) : isBanded ? (
          <aside class="run-list">{error ? <Failure error={error} /> : <Skeleton />}</aside>
        ) : (
          <RunList
            experiment={experiment}
            runs={listed}
            total={page.total}
            isChosen={state.selection.ids.length > 0}
            settings={settings}
            groupOf={groupOf}
          />
        )}
        {metrics.length === 0 ? (
          <Empty title={keys.length ? "No metric has such a name" : "No metric yet"}>
            {keys.length === 0 && <p>What the runs log is drawn here as it comes.</p>}
          </Empty>
        ) : (
          (groups || !isBanded) && (
            <ChartGrid
              metrics={metrics}
              runs={shown}
              settings={settings}
              link={link}
              experiment={experiment}
              groupOf={groupOf}
              groups={groups}
            />
          )
        )}
      </div>
      {error instanceof ApiError && <p role="alert">{error.message}</p>}
    </div>
  );
}

const filterOfRuns = (ids: readonly string[]) =>
  `attributes.run_id IN (${ids.map((id) => `'${id}'`).join(", ")})`;

/** The value before, while it says the same: what hangs on it is then not drawn anew. */
function useStable<T>(value: T): T {
  const kept = useRef(value);
  if (JSON.stringify(kept.current) !== JSON.stringify(value)) kept.current = value;
  return kept.current;
}

function RunList(props: {
  experiment: string;
  runs: readonly DrawnRun[];
  total: number;
  isChosen: boolean;
  settings: ChartSettings;
  groupOf: ReadonlyMap<string, string> | undefined;
}) {
  const { runs, settings, experiment, groupOf } = props;
  const slots = groupOf && groupSlots(groupOf);
  const dark = isDark.value;
  const lit = litRun.value;
  const toggled = (ids: readonly string[], id: string) =>
    ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id];
  const what = props.isChosen
    ? `${count(runs.length)} selected of ${count(props.total)} runs`
    : `${count(runs.length)} of ${count(props.total)} ${props.total === 1 ? "run" : "runs"}`;
  return (
    <aside class="run-list" aria-label="Runs that are drawn">
      <p>
        <strong>{what}</strong>{" "}
        <HowMany
          what="runs"
          order="first"
          isOffered={!props.isChosen && props.total > MOST_RUNS[0]}
          settings={settings}
        />
      </p>
      {slots && (
        <ul aria-label="Groups">
          {[...slots].map(([value, slot]) => (
            <li key={value}>
              <Swatch mark={markAt(slot, dark)} />
              <strong>{value || "none"}</strong>
            </li>
          ))}
        </ul>
      )}
      <ul aria-label="Runs" onMouseLeave={() => (litRun.value = undefined)}>
        {runs.map((run) => {
          const isHidden = settings.hidden.includes(run.id);
          const isPinned = settings.pinned.includes(run.id);
          return (
            <li
              key={run.id}
              class={`${lit === run.id ? "lit" : ""}${isHidden ? " away" : ""}`}
              onMouseEnter={() => (litRun.value = run.id)}
            >
              <Swatch mark={markAt(slots?.get(groupOf?.get(run.id) ?? "") ?? run.slot, dark)} />
              <a
                href={pageUrl(["experiments", experiment, "runs", run.id])}
                title={run.name}
                onFocus={() => (litRun.value = run.id)}
                onBlur={() => (litRun.value = undefined)}
              >
                {run.name}
              </a>
              <button
                type="button"
                class="plain"
                aria-pressed={isPinned}
                aria-label={`Pin ${run.name}`}
                title={isPinned ? "Pinned: always drawn" : "Pin: draw it always"}
                onClick={() => keepPinned(toggled(settings.pinned, run.id))}
              >
                ★
              </button>
              <button
                type="button"
                class="plain"
                aria-pressed={isHidden}
                aria-label={`Hide ${run.name}`}
                title={isHidden ? "Hidden" : "Hide"}
                onClick={() => keepHidden(toggled(settings.hidden, run.id))}
              >
                {isHidden ? "○" : "●"}
              </button>
            </li>
          );
        })}
      </ul>
      {runs.length > 1 && (
        <button
          type="button"
          onClick={() =>
            go(
              pageUrl(["compare"], {
                runs: runs
                  .filter((run) => !settings.hidden.includes(run.id))
                  .map((run) => run.id)
                  .join(","),
              }),
            )
          }
        >
          Compare these
        </button>
      )}
    </aside>
  );
}
