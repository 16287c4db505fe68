/** An experiment: its runs as a table, and what is done with many of them. */

import "../styles/runs.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, mlflow } from "../api/request";
import { useResource } from "../api/resource";
import type { GetExperimentResponse } from "../api/schema";
import { useCalm } from "../app/calm";
import { FirstSteps } from "../app/first_steps";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { part } from "../app/part";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { tell, tellFailure } from "../app/toasts";
import { forgetSparks } from "../charts/sparks";
import { hasBothQuotes, isFoundExactly, withClause } from "../lib/filter_language";
import { count } from "../lib/format";
import { ColumnPicker } from "../runs/column_picker";
import { fieldNamed, orderTerm } from "../runs/columns";
import { FilterBox } from "../runs/filter_box";
import { GroupPicker } from "../runs/group_picker";
import { filterOf } from "../runs/groups";
import { compare, ManyRuns } from "../runs/many";
import { RunsTable } from "../runs/runs_table";
import { SaveTable } from "../runs/save_table";
import { isEmpty, useSelectedCount } from "../runs/selection";
import {
  keepColumns,
  keepFilter,
  keepGrouping,
  keepSelection,
  keepTrash,
  keepView,
  readState,
} from "../runs/state";
import type { TableQuery } from "../runs/table";
import { useTable } from "../runs/use_table";
import { useArrival, Views } from "../runs/views";

const RunsCharts = part(() => import("../charts/runs_charts").then((module) => module.RunsCharts));

const CALM_MS = 700;

export default function RunsPage({ at }: PageProps) {
  const experiment = at.experiment ?? "";
  const experiments = useMemo(() => [experiment], [experiment]);
  const state = readState();
  const [picking, setPicking] = useState<"columns" | "groups">();
  const order = state.order && orderTerm(state.order.name, state.order.isDescending);
  const isGrouped = state.by.length > 0;
  const isTree = !state.filter && !order && !state.isTrash && !state.isFlat && !isGrouped;
  // The server's choice is kept while one filters and sorts: columns that come and go would be a puzzle.
  const chosen = useRef<readonly string[] | undefined>(undefined);
  const asked: TableQuery = {
    experiment_ids: experiments,
    filter: state.filter,
    view_type: state.isTrash ? "DELETED_ONLY" : "ACTIVE_ONLY",
    order_by: order ? [order] : [],
    columns: state.columns,
    ...(isTree ? { roots_only: true } : {}),
  };
  const latest = useRef(asked);
  latest.current = asked;
  const selected = useSelectedCount(state.selection, asked);
  const isCharts = state.view === "charts";
  const grouping = isGrouped ? { by: state.by, statistic: state.statistic, order: state.order } : undefined;
  const { shown, next } = useTable(isCharts ? undefined : asked, chosen.current, grouping);
  const hasRead = useRef<string | undefined>(undefined);
  const about = useResource(experiment, async (abort) => {
    if (next && hasRead.current !== experiment) {
      hasRead.current = experiment; // at first it comes with the rows; later only what changed is read
      const told = await next.about.catch(() => undefined);
      if (told) return told;
    }
    const query = { experiment_id: experiment };
    return (await mlflow.get<GetExperimentResponse>("experiments/get", query, abort)).experiment;
  });
  useArrival(about.value.value);
  if (!state.columns && shown) chosen.current ??= shown.names.value;
  const names = state.columns ?? shown?.names.value;
  // Runs that log all the time change all the time; a table that is read needs no more than this.
  const refreshSoon = useCalm(
    () => {
      shown?.rows.refresh();
      // what is still on its way may have been read before the change
      if (next !== shown) next?.rows.refresh();
      selected.reload();
    },
    CALM_MS,
    CALM_MS,
  );
  useLive({ experiments }, (changes) => {
    forgetSparks(changes.runs);
    if (changes.about.has(experiment) || changes.isReset) void about.reload();
    refreshSoon();
  });

  const shortcuts = useMemo(
    () => [
      { keys: "/", what: "filter", run: () => document.getElementById("filter")?.focus() },
      {
        keys: "c",
        what: "compare the selected runs",
        run: () => void compare(readState().selection, latest.current).catch(tellFailure),
      },
      { keys: "e", what: "choose columns", run: () => setPicking("columns") },
      { keys: "b", what: "group runs by params and tags", run: () => setPicking("groups") },
      { keys: "t", what: "go to the table", run: focusTable },
      {
        keys: "j k",
        what: "move in the table (x selects, Ctrl A all that are found, Enter opens, o sorts by the column, f filters by the cell, F leaves it out, . shows what else)",
        run: focusTable,
      },
      { keys: "j", what: "next row", run: focusTable },
      { keys: "k", what: "row before", run: focusTable },
    ],
    [],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = `${about.value.value?.name ?? "Runs"} · slipstream`;
  }, [about.value.value]);

  const failure = next?.roots.error.value;
  const refusal = failure instanceof ApiError && failure.status === 400 ? failure.message : undefined;
  const total = shown?.roots.total.value;
  const refresh = () => shown?.rows.refresh();
  // of a tree only roots are counted
  const found = shown?.runs?.value ?? (isTree && shown?.hasNested.value ? undefined : total);
  if (about.error.value && !about.value.value)
    return (
      <Failure
        error={about.error.value}
        retry={() => {
          void about.reload();
          next?.roots.refresh();
        }}
      />
    );
  return (
    <div class="runs">
      <div class="tools">
        <h1 title={about.value.value?.name ?? ""}>{about.value.value?.name ?? "…"}</h1>
        <FilterBox
          experiments={experiments}
          value={state.filter}
          isTrash={state.isTrash}
          onApply={keepFilter}
          refusal={refusal}
        />
        <output class="quiet" aria-live="polite">
          {foundText(total, shown?.runs?.value)}
          {isTree && shown?.hasNested.value ? " at the top" : ""}
        </output>
        {!isEmpty(state.selection) && (
          <ManyRuns
            state={state}
            query={asked}
            selected={selected.count}
            found={found}
            experiment={experiment}
            onDone={() => {
              refresh();
              selected.reload();
            }}
          />
        )}
        <button type="button" aria-pressed={isCharts} onClick={() => keepView(isCharts ? "table" : "charts")}>
          Charts
        </button>
        <button type="button" onClick={() => setPicking("columns")}>
          Columns
        </button>
        <button type="button" aria-pressed={isGrouped} onClick={() => setPicking("groups")}>
          Group
        </button>
        {about.value.value && <Views experiment={about.value.value} onChange={() => void about.reload()} />}
        <SaveTable
          query={total ? { ...asked, columns: names ?? [] } : undefined}
          grouping={grouping}
          name={about.value.value?.name ?? experiment}
        />
        <button type="button" aria-pressed={state.isTrash} onClick={() => keepTrash(!state.isTrash)}>
          Trash
        </button>
      </div>
      {failure instanceof ApiError && !refusal && (
        <Failure error={failure} retry={() => next?.roots.refresh()} />
      )}
      {isCharts && (state.isTrash || about.value.value?.lifecycle_stage !== "deleted") ? (
        <RunsCharts experiment={experiment} state={state} names={names ?? []} />
      ) : shown === undefined && !isCharts ? (
        !failure && <Skeleton lines={24} />
      ) : isCharts || shown === undefined || (total === 0 && !refusal) ? (
        <NoRuns
          isFiltered={state.filter !== ""}
          isTrash={state.isTrash}
          experiment={about.value.value}
          onChange={() => {
            void about.reload();
            refresh();
          }}
        />
      ) : (
        <RunsTable
          experiment={experiment}
          found={shown}
          names={names ?? []}
          state={state}
          onSelect={keepSelection}
          onFilter={(name, value, operator) => {
            const field = fieldNamed(name);
            if (field && field.aggregate !== "last")
              tell("The filter looks at the last value of a metric, which this column does not show.");
            else if (operator !== "=" && hasBothQuotes(value))
              tell(
                `The filter language cannot leave out a text with both ' and ". Its other values can be asked for.`,
              );
            else if (field) {
              keepFilter(withClause(state.filter, field.entity, field.key, operator, value));
              if (operator === "=" && !isFoundExactly(value))
                tell("Values that differ only where this one has _ or % are found, too.");
            }
          }}
          onFilterGroup={(group) => keepFilter(filterOf(state.filter, state.by, group.keys))}
        />
      )}
      {picking === "columns" && (
        <ColumnPicker
          experiments={experiments}
          filter={state.filter}
          shown={names ?? []}
          onChange={keepColumns}
          onClose={() => setPicking(undefined)}
        />
      )}
      {picking === "groups" && (
        <GroupPicker
          experiments={experiments}
          filter={state.filter}
          by={state.by}
          statistic={state.statistic}
          onChange={keepGrouping}
          onClose={() => setPicking(undefined)}
        />
      )}
    </div>
  );
}

function foundText(total: number | undefined, runsInGroups: number | undefined): string {
  if (total === undefined) return "";
  if (runsInGroups === undefined) return `${count(total)} ${total === 1 ? "run" : "runs"}`;
  return `${count(total)} ${total === 1 ? "group" : "groups"} of ${count(runsInGroups)} runs`;
}

function focusTable() {
  document.querySelector<HTMLElement>(".grid")?.focus();
}

interface NoRunsProps {
  readonly isFiltered: boolean;
  readonly isTrash: boolean;
  readonly experiment: GetExperimentResponse["experiment"] | undefined;
  readonly onChange: () => void;
}

function NoRuns({ isFiltered, isTrash, experiment, onChange }: NoRunsProps) {
  if (isTrash)
    return (
      <Empty title="The trash is empty">
        <button type="button" onClick={() => keepTrash(false)}>
          Back to the runs
        </button>
      </Empty>
    );
  if (isFiltered)
    return (
      <Empty title="No run fits the filter">
        <button type="button" onClick={() => keepFilter("")}>
          Show all runs
        </button>
      </Empty>
    );
  if (experiment?.lifecycle_stage === "deleted")
    return (
      <Empty title="This experiment is in the trash">
        <p>Its runs are, too. Restored, all is as it was.</p>
        <button
          type="button"
          onClick={() =>
            void mlflow
              .post("experiments/restore", { experiment_id: experiment.experiment_id })
              .then(onChange, tellFailure)
          }
        >
          Restore
        </button>
      </Empty>
    );
  return (
    <Empty title="No runs yet">
      <FirstSteps experiment={experiment?.name ?? undefined} />
    </Empty>
  );
}
