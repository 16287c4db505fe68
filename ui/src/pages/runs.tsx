/** An experiment: its runs as a table, and what is done with many of them. */

import "../styles/runs.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, mlflow } from "../api/request";
import { useResource } from "../api/resource";
import type { GetExperimentResponse } from "../api/schema";
import { FirstSteps } from "../app/first_steps";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { part } from "../app/part";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { tellFailure } from "../app/toasts";
import { withClause } from "../lib/filter_language";
import { count } from "../lib/format";
import { saveCsv } from "../runs/as_csv";
import { ColumnPicker } from "../runs/column_picker";
import { fieldNamed, orderTerm } from "../runs/columns";
import { FilterBox } from "../runs/filter_box";
import { compare, ManyRuns } from "../runs/many";
import { RunsTable } from "../runs/runs_table";
import { keepChosen, keepColumns, keepFilter, keepTrash, keepView, readState } from "../runs/state";
import { type TableQuery, useTable } from "../runs/table";
import { Views } from "../runs/views";

const RunsCharts = part(() => import("../charts/runs_charts").then((module) => module.RunsCharts));

const CALM_MS = 700;

export default function RunsPage({ at }: PageProps) {
  const experiment = at.experiment ?? "";
  const experiments = useMemo(() => [experiment], [experiment]);
  const state = readState();
  const [isPicking, setPicking] = useState(false);
  const about = useResource(experiment, (abort) =>
    mlflow.get<GetExperimentResponse>("experiments/get", { experiment_id: experiment }, abort),
  );
  const order = state.order && orderTerm(state.order.name, state.order.isDescending);
  const isTree = !state.filter && !order && !state.isTrash && !state.isFlat;
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
  const isCharts = state.view === "charts";
  const { shown, next } = useTable(isCharts ? undefined : asked, chosen.current);
  if (!state.columns && shown) chosen.current ??= shown.names.value;
  const names = state.columns ?? shown?.names.value;
  const calm = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useLive({ experiments }, () => {
    // Runs that log all the time change all the time; a table that is read needs no more than this.
    calm.current ??= setTimeout(() => {
      calm.current = undefined;
      shown?.rows.refresh();
    }, CALM_MS);
  });
  useEffect(() => () => clearTimeout(calm.current), []);

  const shortcuts = useMemo(
    () => [
      { keys: "/", what: "filter", run: () => document.getElementById("filter")?.focus() },
      { keys: "c", what: "compare the selected runs", run: () => compare(readState().chosen) },
      { keys: "e", what: "choose columns", run: () => setPicking(true) },
      { keys: "t", what: "go to the table", run: focusTable },
      {
        keys: "j k",
        what: "move in the table (x selects, Enter opens, o sorts by the column, f filters by the cell)",
        run: focusTable,
      },
      { keys: "j", what: "next row", run: focusTable },
      { keys: "k", what: "row before", run: focusTable },
    ],
    [],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = `${about.value.value?.experiment?.name ?? "Runs"} · slipstream`;
  }, [about.value.value]);

  const failure = next?.roots.error.value;
  const refusal = failure instanceof ApiError && failure.status === 400 ? failure.message : undefined;
  const total = shown?.roots.total.value;
  const refresh = () => shown?.rows.refresh();
  if (about.error.value)
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
        <h1 title={about.value.value?.experiment?.name ?? ""}>
          {about.value.value?.experiment?.name ?? "…"}
        </h1>
        <FilterBox experiments={experiments} value={state.filter} onApply={keepFilter} refusal={refusal} />
        <output class="quiet" aria-live="polite">
          {total === undefined ? "" : `${count(total)} ${total === 1 ? "run" : "runs"}`}
          {isTree && shown?.hasNested.value ? " at the top" : ""}
        </output>
        {state.chosen.length > 0 && (
          <ManyRuns ids={state.chosen} experiment={experiment} isTrash={state.isTrash} onDone={refresh} />
        )}
        <button type="button" aria-pressed={isCharts} onClick={() => keepView(isCharts ? "table" : "charts")}>
          Charts
        </button>
        <button type="button" onClick={() => setPicking(true)}>
          Columns
        </button>
        {about.value.value?.experiment && (
          <Views experiment={about.value.value.experiment} onChange={() => void about.reload()} />
        )}
        <button
          type="button"
          disabled={!total}
          onClick={() =>
            void saveTable(
              { ...asked, columns: names ?? [] },
              about.value.value?.experiment?.name ?? experiment,
            )
          }
        >
          CSV
        </button>
        <button type="button" aria-pressed={state.isTrash} onClick={() => keepTrash(!state.isTrash)}>
          Trash
        </button>
      </div>
      {failure instanceof ApiError && !refusal && (
        <Failure error={failure} retry={() => next?.roots.refresh()} />
      )}
      {isCharts ? (
        <RunsCharts experiment={experiment} state={state} names={names ?? []} />
      ) : shown === undefined ? (
        !failure && <Skeleton lines={24} />
      ) : total === 0 && !refusal ? (
        <NoRuns
          isFiltered={state.filter !== ""}
          isTrash={state.isTrash}
          experiment={about.value.value?.experiment}
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
          onChoose={keepChosen}
          onFilter={(name, value, isExcluded) => {
            const field = fieldNamed(name);
            if (field)
              keepFilter(withClause(state.filter, field.entity, field.key, isExcluded ? "!=" : "=", value));
          }}
        />
      )}
      {isPicking && (
        <ColumnPicker
          experiments={experiments}
          filter={state.filter}
          shown={names ?? []}
          onChange={keepColumns}
          onClose={() => setPicking(false)}
        />
      )}
    </div>
  );
}

async function saveTable(query: TableQuery, name: string) {
  const { roots_only: _, ...all } = query;
  try {
    await saveCsv(all, `${name.replace(/[^\w.-]+/g, "_")}.csv`, () => undefined);
  } catch (error) {
    tellFailure(error);
  }
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
