/** A run's metrics: the last value, the smallest and the largest, and at which step it is. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { ApiError } from "../api/request";
import type { GridColumn } from "../grid/grid";
import { exactNumber, moment, shortNumber, stepText, toNumber } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { nameOf } from "../runs/columns";
import { readTable } from "../runs/table";
import type { Extremes, Metric, RunFacts } from "./run_data";
import { roomForTable, ValuesTable } from "./values_table";

interface Props {
  readonly id: string;
  readonly title: string;
  readonly run: RunFacts;
  readonly metrics: readonly Metric[];
}

export function MetricsTable({ id, title, run, metrics }: Props) {
  const extremes = useMemo(() => new Map(run.extremes), [run.id, metrics]);
  const problem = useSignal("");
  const prepare = async (part: readonly Metric[], abort: AbortSignal) => {
    const wanted = part.filter((metric) => !extremes.has(metric.key));
    if (wanted.length === 0 || problem.peek()) return;
    try {
      await readExtremes(run, wanted, extremes, abort);
    } catch (error) {
      if (abort.aborted) throw error;
      // the last values are there all the same
      problem.value = error instanceof ApiError ? error.message : String(error);
    }
  };
  const columns = useMemo((): GridColumn<Metric>[] => {
    const name = Math.max(130, roomForTable() * 0.36);
    const width = Math.max(80, (roomForTable() - name) / 4);
    const number = (
      key: string,
      title: string,
      value: (metric: Metric) => number | undefined,
      isStep = false,
    ): GridColumn<Metric> => ({
      key,
      title,
      isNumber: true,
      width,
      pinned: false,
      cell: (metric) => {
        const found = value(metric);
        if (found === undefined) return "";
        return <span title={isStep ? stepText(found) : exactNumber(found)}>{shortNumber(found)}</span>;
      },
    });
    return [
      {
        key: "key",
        title: "Metric",
        isNumber: false,
        width: name,
        pinned: true,
        cell: (metric) => (
          <span title={`${visibleLine(metric.key)}, last at ${moment(metric.time)}`}>
            {visibleLine(metric.key)}
          </span>
        ),
      },
      number("last", "Last", (metric) => metric.last),
      number("min", "Min", (metric) => extremes.get(metric.key)?.least),
      number("max", "Max", (metric) => extremes.get(metric.key)?.most),
      number("step", "Step", (metric) => metric.step, true),
    ];
  }, [extremes]);
  return (
    <>
      <ValuesTable
        id={id}
        title={title}
        all={metrics}
        columns={columns}
        keyOf={(metric) => metric.key}
        textOf={(metric) => metric.key}
        valueOf={(metric) => String(metric.last)}
        lineOf={(metric) => `${metric.key}\t${metric.last}\t${metric.step}`}
        prepare={prepare}
        empty={
          <>
            None yet. <code>slipstream.log_metric("loss", 0.1, step=1)</code> logs one.
          </>
        }
      />
      {problem.value && <p class="quiet">The smallest and largest values cannot be read: {problem.value}</p>}
    </>
  );
}

async function readExtremes(
  run: RunFacts,
  wanted: readonly Metric[],
  extremes: Map<string, Extremes>,
  abort: AbortSignal,
): Promise<void> {
  const columns = wanted.flatMap(({ key }) => [
    nameOf({ entity: "metrics", key, aggregate: "min" }),
    nameOf({ entity: "metrics", key, aggregate: "max" }),
  ]);
  const page = await readTable(
    {
      experiment_ids: [run.experiment],
      filter: `attributes.run_id = '${run.id}'`,
      view_type: run.isDeleted ? "DELETED_ONLY" : "ACTIVE_ONLY",
      order_by: [],
      columns,
    },
    0,
    1,
    abort,
  );
  for (const [index, metric] of wanted.entries())
    extremes.set(metric.key, {
      least: toNumber(page.columns[2 * index]?.values[0] as number),
      most: toNumber(page.columns[2 * index + 1]?.values[0] as number),
    });
}
