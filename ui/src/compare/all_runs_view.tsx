/**
 * Parallel coordinates and scatter of all runs that the filter finds, not only of those whose lines are drawn. A brush becomes
 * the filter. Read when it is opened.
 */

import "../styles/compare.css";
import { useMemo, useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { useCalmReload } from "../app/calm";
import { useLive } from "../app/live";
import { setQuery } from "../app/router";
import { Failure, Skeleton } from "../app/states";
import type { AllRunsAsked } from "../charts/all_runs";
import { filterOfBrushes, isWithin } from "../charts/brush_filter";
import { type Field, fieldOf } from "../charts/small/values";
import { count, many } from "../lib/format";
import { fieldNamed } from "../runs/columns";
import { readTable, type TablePage, type TableQuery } from "../runs/table";
import { Parallel } from "./parallel";
import { Relations } from "./relations";
import { keepBrushes, readCompare } from "./state";

const PAGE = 1000;
/** More lines than these are one colour, and slow to point at. */
const MOST_RUNS = 2000;
const MOST_COLUMNS = 24;
const AXES = 8;
const CALM_MS = 10_000;

interface Found {
  readonly total: number;
  readonly runs: readonly { id: string; name: string }[];
  readonly fields: readonly Field[];
}

async function readAll(asked: TableQuery, names: readonly string[], abort: AbortSignal): Promise<Found> {
  const pages: TablePage[] = [await readTable({ ...asked, columns: columnsOf(names) }, 0, PAGE, abort)];
  const first = pages[0] as TablePage;
  const columns = first.columns.map((column) => column.key);
  for (let at = PAGE; at < Math.min(first.total, MOST_RUNS); at += PAGE)
    pages.push(await readTable({ ...asked, columns }, at, PAGE, abort));
  const runs = pages.flatMap((page) =>
    page.run_ids.map((id, at) => ({ id, name: page.names[at] || id.slice(0, 8) })),
  );
  const fields = columns.flatMap((name, index) => {
    const values = pages.flatMap((page) => page.columns[index]?.values ?? []);
    const field = fieldOf(
      name,
      values.map((value) => (value === null || value === undefined ? undefined : String(value))),
    );
    return field.differs && isField(name) ? [field] : [];
  });
  return { total: first.total, runs, fields };
}

const isField = (name: string) => {
  const field = fieldNamed(name);
  return (field?.entity === "metrics" || field?.entity === "params") && field.aggregate === "last";
};

/** Those of the table; where there are few, the server chooses those that tell runs apart. */
function columnsOf(names: readonly string[]): readonly string[] | undefined {
  const found = names.filter(isField).slice(0, MOST_COLUMNS);
  return found.length > 1 ? found : undefined;
}

export function AllRunsView({ asked, names }: AllRunsAsked) {
  const state = readCompare();
  const all = useResource(JSON.stringify([asked, names]), (abort) => readAll(asked, names, abort));
  useLive({ experiments: asked.experiment_ids }, useCalmReload(all, CALM_MS, CALM_MS));
  const [failed, setFailed] = useState(false);
  const found = all.value.value;
  const fields = found?.fields ?? [];
  const metrics = fields.filter((field) => field.name.startsWith("metrics."));
  const target =
    fields.find((field) => field.name === state.target) ??
    metrics.find((field) => /(^|\.|\/)val/.test(field.name)) ??
    metrics[0];
  const brushKey = JSON.stringify(state.brushes);
  const brushes = useMemo(
    () => state.brushes.filter((brush) => fields.some((field) => field.name === brush.name)),
    [brushKey, fields],
  );
  const dimmed = useMemo(
    () => new Set((found?.runs ?? []).flatMap((run, at) => (isWithin(brushes, fields, at) ? [] : [run.id]))),
    [found, brushes],
  );
  const axes = useMemo(() => {
    if (state.axes) return state.axes.flatMap((name) => fields.find((field) => field.name === name) ?? []);
    const telling = fields.filter((field) => field !== target && field.names.length < 40).slice(0, AXES - 1);
    return target ? [...telling, target] : telling;
  }, [fields, target, state.axes?.join("\n")]);
  if (all.error.value && !found) return <Failure error={all.error.value} retry={() => void all.reload()} />;
  if (!found) return <Skeleton lines={8} />;
  if (fields.length < 2)
    return <p class="quiet">The runs that are found do not differ in two params or metrics yet.</p>;
  const { runs, total } = found;
  const kept = runs.length - dimmed.size;
  const narrow = () => {
    const filter = filterOfBrushes(
      asked.filter,
      brushes,
      fields,
      runs.map((run) => run.id),
    );
    setFailed(filter === undefined);
    if (filter !== undefined) setQuery({ filter, searchFilter: null, brush: null }, {});
  };
  return (
    <>
      <div class="tools inner">
        <span class="quiet" role="status">
          {runs.length < total
            ? `The first ${count(runs.length)} of ${many(total, "run", "runs")}, in the table's order`
            : `All ${many(total, "run", "runs")}`}
          {brushes.length > 0 && `, ${count(kept)} within the brush`}
        </span>
        {brushes.length > 0 && (
          <>
            <button type="button" disabled={kept === 0} onClick={narrow}>
              Filter to the brush
            </button>
            <button type="button" onClick={() => keepBrushes([])}>
              No brush
            </button>
          </>
        )}
        {failed && (
          <span role="alert">
            The filter's language cannot say this: too many values of a param are within. Brush a metric, or
            fewer of them.
          </span>
        )}
      </div>
      {axes.length > 1 && (
        <Parallel runs={runs} axes={axes} all={fields} brushes={brushes} dimmed={dimmed} target={target} />
      )}
      {target && <Relations runs={runs} fields={fields} target={target} state={state} />}
    </>
  );
}
