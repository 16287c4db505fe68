/** The table of runs. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import type { Spread } from "../api/schema";
import { go, pageUrl } from "../app/router";
import { Grid, type GridColumn } from "../grid/grid";
import type { TreeRow } from "../grid/tree";
import { ago, count, duration, moment, shortNumber, toNumber } from "../lib/format";
import { fieldNamed, titleOf } from "./columns";
import { type GroupFacts, isMetric, type Statistic, spreadText } from "./groups";
import { keepOrder, keepWidths, type RunsState } from "./state";
import type { RunRow, RunRows } from "./table";

const NAME_WIDTH = 260;
const PLAIN_WIDTH = 112;
const SPREAD_WIDTH = 140;
const NARROW = 640;

interface Props {
  readonly experiment: string;
  readonly found: RunRows;
  readonly names: readonly string[];
  readonly state: RunsState;
  readonly onChoose: (ids: readonly string[]) => void;
  readonly onFilter: (name: string, value: string, isExcluded: boolean) => void;
  /** Select the runs of a group. */
  readonly onChooseGroup: (group: GroupFacts) => void;
  /** Show the runs of a group only. */
  readonly onFilterGroup: (group: GroupFacts) => void;
}

export function RunsTable({
  experiment,
  found,
  names,
  state,
  onChoose,
  onFilter,
  onChooseGroup,
  onFilterGroup,
}: Props) {
  void found.rows.version.value; // kinds and ranges come with the rows
  const chosen = new Set(state.chosen);
  const isGrouped = found.runs !== undefined;
  const openRun = (row: RunRow) => go(pageUrl(["experiments", row.experiment ?? experiment, "runs", row.id]));
  const choose = (row: RunRow) =>
    onChoose(chosen.has(row.id) ? state.chosen.filter((id) => id !== row.id) : [...state.chosen, row.id]);
  const columns = useMemo(() => {
    const isNarrow = innerWidth < NARROW;
    const result: GridColumn<TreeRow<RunRow>>[] = [
      {
        key: "name",
        title: isGrouped ? state.by.map(plainTitle).join(" · ") : "Run",
        isNumber: false,
        width: state.widths.name ?? (isNarrow ? 160 : NAME_WIDTH),
        pinned: true,
        ...(isGrouped ? {} : sorting("attributes.run_name", state)),
        cell: ({ row, depth, isOpen }, index) => (
          <span class="run-name" style={depth ? { paddingLeft: `${depth * 16}px` } : undefined}>
            {row.children > 0 && (
              <button
                type="button"
                class="twist"
                tabIndex={-1}
                aria-label={`${isOpen ? "Hide" : "Show"} ${row.children} runs below ${row.name}`}
                onClick={() => found.rows.toggle(index)}
              >
                {isOpen ? "▾" : "▸"}
              </button>
            )}
            {row.group ? (
              <GroupName row={row} />
            ) : (
              <>
                <input
                  type="checkbox"
                  tabIndex={-1}
                  aria-label={`Select ${row.name}`}
                  checked={chosen.has(row.id)}
                  onChange={() => choose(row)}
                />
                <Status row={row} />
                <a
                  href={pageUrl(["experiments", row.experiment ?? experiment, "runs", row.id])}
                  tabIndex={-1}
                  title={row.name}
                >
                  {row.name || row.id.slice(0, 8)}
                </a>
              </>
            )}
          </span>
        ),
      },
    ];
    if (isGrouped)
      result.push({
        key: "runs",
        title: "Runs",
        isNumber: true,
        width: state.widths.runs ?? 72,
        pinned: false,
        cell: ({ row }) => (row.group ? count(row.group.runs) : ""),
      });
    for (const [index, name] of names.entries()) {
      const field = fieldNamed(name);
      if (!field || state.by.includes(name)) continue; // what a group has is said at its beginning
      const isNumber =
        (found.kinds.get(name) ?? (field.entity === "metrics" ? "number" : "text")) === "number";
      result.push({
        key: name,
        title: titleOf(field),
        isNumber,
        width: state.widths[name] ?? (isGrouped && isMetric(name) ? SPREAD_WIDTH : PLAIN_WIDTH),
        pinned: false,
        ...sorting(name, state),
        cell: ({ row }) =>
          row.group
            ? spreadCell(row.values[index], row.group.spreads[index], state.statistic, name, found)
            : valueCell(row.values[index], name, found),
      });
    }
    result.push({
      key: "start",
      title: "Started",
      isNumber: false,
      width: state.widths.start ?? 104,
      pinned: false,
      ...sorting("attributes.start_time", state),
      cell: ({ row }) => (row.start === null ? "" : <time title={moment(row.start)}>{ago(row.start)}</time>),
    });
    result.push({
      key: "duration",
      title: "Duration",
      isNumber: true,
      width: state.widths.duration ?? 96,
      pinned: false,
      cell: ({ row }) => (row.start === null || row.end === null ? "" : duration(row.end - row.start)),
    });
    return result;
  }, [names, state, found, found.kinds.size]);
  return (
    <Grid
      label="Runs"
      rows={found.rows}
      columns={columns}
      rowKey={({ row }) => row.id}
      isChosen={({ row }) => chosen.has(row.id)}
      onOpen={({ row }, index) => (row.group ? found.rows.toggle(index) : openRun(row))}
      onChoose={({ row }) => (row.group ? onChooseGroup(row.group) : choose(row))}
      tree={{
        level: ({ depth }) => depth,
        isOpen: ({ row, isOpen }) => (row.children > 0 ? isOpen : undefined),
        toggle: (index) => found.rows.toggle(index),
      }}
      onResize={(key, width) => keepWidths({ ...state.widths, [key]: width })}
      onKey={(event, at, column) => {
        const row = at?.row;
        if (row?.group && event.key === "f" && column?.key === "name") {
          event.preventDefault();
          onFilterGroup(row.group);
          return;
        }
        const value = row?.values[column ? names.indexOf(column.key) : -1];
        const isSpread = row?.group && column && isMetric(column.key); // that is no value of a run
        if (
          !column ||
          isSpread ||
          value === undefined ||
          value === null ||
          (event.key !== "f" && event.key !== "F")
        )
          return;
        event.preventDefault();
        onFilter(column.key, String(value), event.key === "F");
      }}
    />
  );
}

function sorting(name: string, state: RunsState): Pick<GridColumn<TreeRow<RunRow>>, "sorted" | "onSort"> {
  const field = fieldNamed(name);
  if (field?.aggregate !== "last") return {};
  const isMine = state.order?.name === name;
  return {
    sorted: isMine ? (state.order?.isDescending ? "descending" : "ascending") : undefined,
    // first down, since the best of a metric is what one looks for; then up, then as it was
    onSort: () => {
      if (!isMine) keepOrder(name, true);
      else if (state.order?.isDescending) keepOrder(name, false);
      else keepOrder(undefined, false);
    },
  };
}

function valueCell(value: unknown, name: string, found: RunRows): ComponentChildren {
  if (value === undefined || value === null) return "";
  const kind = found.kinds.get(name);
  if (kind === "time" && typeof value === "number") return <time title={moment(value)}>{ago(value)}</time>;
  const number = kind === "number" ? toNumber(value as number) : undefined;
  if (number === undefined) return String(value);
  const range = found.ranges.get(name);
  const share =
    range && range[1] > range[0] && Number.isFinite(number) ? (number - range[0]) / (range[1] - range[0]) : 0;
  return (
    <>
      {share > 0 && <span class="bar-of-value" style={{ width: `${share * 100}%` }} />}
      <span title={String(value)}>{shortNumber(number)}</span>
    </>
  );
}

function plainTitle(name: string): string {
  const field = fieldNamed(name);
  return field ? titleOf(field) : name;
}

function GroupName({ row }: { row: RunRow }) {
  return (
    <span class="group-name" title={row.name}>
      {row.group?.keys.map((key, index) => (
        <span key={index}>
          {key === null ? <em class="quiet">none</em> : key || <em class="quiet">empty</em>}
        </span>
      ))}
    </span>
  );
}

function spreadCell(
  value: unknown,
  spread: Spread | undefined,
  statistic: Statistic,
  name: string,
  found: RunRows,
): ComponentChildren {
  if (!spread) return value === undefined ? "" : String(value);
  if (value === undefined) return "";
  const isMean = statistic === "mean" && typeof spread.std === "number";
  // how wide runs spread is no value between the least and the largest
  const shown = statistic === "std" ? shortNumber(Number(value)) : valueCell(value, name, found);
  return (
    <span class="spread" title={spreadText(spread)}>
      {shown}
      {isMean && <span class="quiet"> ± {shortNumber(Number(Number(spread.std).toPrecision(2)))}</span>}
    </span>
  );
}

/** A running run of a client that sends no signs of life is taken for forgotten when it has not logged for so long. */
const FORGOTTEN_MS = 10 * 60_000;

function Status({ row }: { row: RunRow }) {
  const silent = row.quietSince === undefined ? 0 : Date.now() - row.quietSince;
  const isSilent = silent > FORGOTTEN_MS;
  const text = `${row.status.toLowerCase()}${isSilent ? `, but nothing logged for ${duration(silent)}` : ""}`;
  return (
    <span class={`status ${row.status}${isSilent ? " silent" : ""}`} title={text}>
      <span class="hidden-text">{text}</span>
    </span>
  );
}
