/** Two to a hundred runs beside each other: in what they differ, first. */

import "../styles/charts.css";
import "../styles/compare.css";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { ApiError } from "../api/request";
import { useResource } from "../api/resource";
import { useCalmReload } from "../app/calm";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { ChartGrid } from "../charts/chart_grid";
import { newLink } from "../charts/link";
import { slotOf } from "../charts/marks";
import { SHORTCUTS } from "../charts/run_charts";
import { matching } from "../charts/search";
import { readSettings } from "../charts/settings";
import type { Field } from "../charts/small/values";
import { ChartToolbar } from "../charts/toolbar";
import type { Compared, ComparedRun } from "../compare/compared";
import { DiffTable } from "../compare/diff_table";
import { differencesOf } from "../compare/fields";
import { loadRuns, MOST_RUNS } from "../compare/load";
import { ComparedMedia } from "../compare/media";
import { Parallel } from "../compare/parallel";
import { Relations } from "../compare/relations";
import { type CompareState, readCompare } from "../compare/state";
import { CodeDifferences, DatasetDifferences, FileDifferences } from "../compare/surroundings";
import { count, many } from "../lib/format";

const CALM_MS = 3000;
const AXES_AT_FIRST = 7;

export default function ComparePage(_: PageProps) {
  const state = readCompare();
  const key = state.runs.join();
  const loaded = useResource(key, (abort) => loadRuns(state.runs, abort));
  useLive({ runs: state.runs }, useCalmReload(loaded, CALM_MS, CALM_MS));
  useEffect(() => {
    document.title = `Compare ${state.runs.length} runs · slipstream`;
  }, [state.runs.length]);
  const found = loaded.value.value;
  const error = loaded.error.value;
  const isReady = found && found.runs.length > 1;
  return (
    <>
      {!isReady && <h1 class="hidden-text">Compare runs</h1>}
      {isReady ? (
        <Comparison runs={found.runs} missing={found.missing} closed={found.closed} state={state} />
      ) : (
        <Waiting state={state} found={found} error={error} retry={loaded.reload} />
      )}
    </>
  );
}

function Waiting(props: {
  state: CompareState;
  found: Compared | undefined;
  error: ApiError | undefined;
  retry: () => void;
}) {
  const { state, found, error } = props;
  if (state.runs.length < 2)
    return (
      <Empty title="There is nothing to compare yet">
        <p>
          Select two runs or more in the table of an <a href={pageUrl(["experiments"])}>experiment</a>, with{" "}
          <kbd>x</kbd>, then press <kbd>c</kbd>.
        </p>
      </Empty>
    );
  if (error) return <Failure error={error} retry={props.retry} />;
  if (found === undefined) return <Skeleton lines={20} />;
  const { runs, closed } = found;
  return (
    <Empty
      title={
        runs.length
          ? `Only one of these runs ${closed.length ? "can be read" : "is there"}`
          : closed.length
            ? "These runs may not be read by you"
            : "These runs are not there"
      }
    >
      <p>
        {closed.length
          ? `Not open to you: ${idsText(closed)}. Who runs this server can say who may read them.`
          : "They may have been deleted for good, or the address may be cut."}
      </p>
    </Empty>
  );
}

function Comparison(props: {
  runs: readonly ComparedRun[];
  missing: readonly string[];
  closed: readonly string[];
  state: CompareState;
}) {
  const { runs, missing, closed, state } = props;
  const found = useMemo(() => differencesOf(runs), [runs]);
  const settings = readSettings();
  const link = useMemo(newLink, []);
  useShortcuts(SHORTCUTS);
  const drawn = useMemo(
    () => runs.map((run) => ({ id: run.id, name: run.name, slot: slotOf(run.id) })),
    [runs.map((run) => run.id + run.name).join("\n")],
  );
  const common = useMemo(() => {
    const holders = new Map<string, number>();
    for (const run of runs)
      for (const name of run.metrics.keys()) holders.set(name, (holders.get(name) ?? 0) + 1);
    return [...holders]
      .filter(([, many]) => many > 1)
      .map(([name]) => name)
      .sort();
  }, [runs]);
  const metricKey = common.join("\n");
  const metrics = useMemo(() => matching(common, settings.search), [metricKey, settings.search]);
  const fields = useMemo(() => [...found.params, ...found.metrics], [found]);
  const target =
    fields.find((field) => field.name === state.target) ??
    found.metrics.find((field) => /(^|\.|\/)val/.test(field.name)) ??
    found.metrics[0];
  const axes = useMemo(
    () => axesOf(fields, found.params, found.metrics, target, state.axes),
    [fields, target?.name, state.axes?.join("\n")],
  );
  const dimmed = useMemo(() => {
    const away = new Set<string>();
    for (const brush of state.brushes) {
      const field = fields.find((each) => each.name === brush.name);
      if (!field) continue;
      runs.forEach((run, at) => {
        const value = field.numbers[at] as number;
        if (!(value >= brush.from && value <= brush.to)) away.add(run.id);
      });
    }
    return away;
  }, [fields, JSON.stringify(state.brushes)]);
  const kept = useMemo(() => drawn.filter((run) => !dimmed.has(run.id)), [drawn, dimmed]);
  const base = runs.find((run) => run.id === state.base) ?? (runs[0] as ComparedRun);
  const cut = state.runs.length - MOST_RUNS;
  return (
    <div class="compare">
      <div class="tools">
        <h1>Compare {count(runs.length)} runs</h1>
        <span class="quiet">
          {many(found.params.length, "param", "params")} and {many(found.metrics.length, "metric", "metrics")}{" "}
          differ
          {dimmed.size > 0 && `, ${many(runs.length - dimmed.size, "run is", "runs are")} within the brush`}
          {cut > 0 && `, the first ${MOST_RUNS} runs are shown`}
          {missing.length > 0 && `, ${many(missing.length, "run is", "runs are")} not there`}
        </span>
        {closed.length > 0 && (
          <span role="note" title={closed.join(" ")}>
            {many(closed.length, "run", "runs")} may not be read by you: {idsText(closed)}
          </span>
        )}
        <span class="stretch" />
        <nav aria-label="Parts of this page" class="parts">
          {PARTS.map(([id, name]) => (
            <button
              key={id}
              type="button"
              class="plain"
              onClick={() => document.getElementById(id)?.scrollIntoView()}
            >
              {name}
            </button>
          ))}
        </nav>
      </div>
      <DiffTable runs={runs} found={found} state={state} dimmed={dimmed} />
      {axes.length > 1 && (
        <Part id="parallel" title="Parallel coordinates">
          <Parallel
            runs={runs}
            axes={axes}
            all={fields}
            brushes={state.brushes}
            dimmed={dimmed}
            target={target}
          />
        </Part>
      )}
      <Part id="curves" title="Curves">
        {common.length === 0 ? (
          <p class="quiet">No metric is logged by two of these runs.</p>
        ) : (
          <div class="chart-page">
            <ChartToolbar
              settings={settings}
              metrics={common}
              found={`${count(metrics.length)} of ${count(common.length)}`}
            />
            <ChartGrid metrics={metrics} runs={kept} settings={settings} link={link} />
          </div>
        )}
      </Part>
      {target && fields.length > 1 && (
        <Part id="relations" title="What goes together">
          <Relations runs={runs} fields={fields} target={target} state={state} />
        </Part>
      )}
      <Opened id="media" title="Images, sounds and tables by step">
        <ComparedMedia runs={kept} />
      </Opened>
      <Opened id="code" title="Code and packages">
        <CodeDifferences runs={runs} base={base} />
      </Opened>
      <Opened id="data" title="Datasets">
        <DatasetDifferences runs={runs} />
      </Opened>
      <Opened id="files" title="Files">
        <FileDifferences runs={runs} base={base} />
      </Opened>
    </div>
  );
}

const NAMED = 5;

/** The first ids, short as elsewhere. */
const idsText = (ids: readonly string[]) =>
  ids
    .slice(0, NAMED)
    .map((id) => id.slice(0, 8))
    .join(", ") + (ids.length > NAMED ? ` and ${count(ids.length - NAMED)} more` : "");

const PARTS = [
  ["parallel", "Parallel"],
  ["curves", "Curves"],
  ["relations", "Relations"],
  ["media", "Media"],
  ["code", "Code"],
  ["data", "Data"],
  ["files", "Files"],
] as const;

/** A few of each, the one that counts last. */
function axesOf(
  fields: readonly Field[],
  params: readonly Field[],
  metrics: readonly Field[],
  target: Field | undefined,
  chosen: readonly string[] | undefined,
): readonly Field[] {
  if (chosen) return chosen.flatMap((name) => fields.find((field) => field.name === name) ?? []);
  // a name that every run has its own of tells nothing
  const telling = params.filter((field) => field.names.length < Math.max(4, field.texts.length));
  const first = telling.slice(0, AXES_AT_FIRST - 2);
  const others = metrics
    .filter((field) => field !== target)
    .slice(0, Math.max(1, AXES_AT_FIRST - 1 - first.length));
  return [...first, ...others, ...(target ? [target] : [])];
}

function Part({ id, title, children }: { id: string; title: string; children: ComponentChildren }) {
  return (
    <section id={id} class="part" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

/** Read when it is opened. */
function Opened({ id, title, children }: { id: string; title: string; children: ComponentChildren }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details id={id} class="part" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>{title}</h2>
      </summary>
      {isOpen && children}
    </details>
  );
}
