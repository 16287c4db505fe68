/** The table of runs. */

import type { ComponentChildren } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import type { Spread } from "../api/schema";
import { Menu, type MenuPart } from "../app/menu";
import { go, pageUrl } from "../app/router";
import { SparkOf } from "../charts/sparks";
import { Grid, type GridColumn } from "../grid/grid";
import type { TreeRow } from "../grid/tree";
import { isHigherBetter } from "../lib/better";
import { FORGOTTEN_MS } from "../lib/forgotten";
import { ago, count, duration, moment, shortNumber, toNumber } from "../lib/format";
import { type CellOperator, cellMenu, moved } from "./cell_menu";
import { fieldNamed, titleOf } from "./columns";
import { type GroupFacts, isMetric, type Statistic, spreadText } from "./groups";
import { litRun } from "./lit";
import { isSelected, type Selection, toggleAll, toggleGroup, toggleRun } from "./selection";
import { keepColumns, keepGrouping, keepOrder, keepWidths, type RunsState } from "./state";
import type { RunRow, RunRows } from "./table";

const NAME_WIDTH = 260;
const PLAIN_WIDTH = 112;
const SPREAD_WIDTH = 140;
const SPARK_WIDTH = 112;
const CELL_PADDING = 16;
const NARROW = 640;

interface Props {
  readonly experiment: string;
  readonly found: RunRows;
  readonly names: readonly string[];
  readonly state: RunsState;
  readonly onSelect: (selection: Selection) => void;
  readonly onFilter: (name: string, value: string, operator: CellOperator) => void;
  /** Show the runs of a group only. */
  readonly onFilterGroup: (group: GroupFacts) => void;
}

export function RunsTable({ experiment, found, names, state, onSelect, onFilter, onFilterGroup }: Props) {
  void found.rows.version.value; // kinds and ranges come with the rows
  const [menu, setMenu] = useState<{ place: DOMRect; label: string; parts: MenuPart[] }>();
  const closeMenu = useCallback(() => {
    setMenu(undefined);
    document.querySelector<HTMLElement>(".grid")?.focus();
  }, []);
  const isGrouped = found.runs !== undefined;
  const openRun = (row: RunRow) => go(pageUrl(["experiments", row.experiment ?? experiment, "runs", row.id]));
  const choose = (row: RunRow) =>
    onSelect(row.group ? toggleGroup(row.group.keys, state) : toggleRun(row, state));
  const columns = useMemo(() => {
    const isNarrow = innerWidth < NARROW;
    const result: GridColumn<TreeRow<RunRow>>[] = [
      {
        key: "name",
        title: isGrouped ? state.by.map(plainTitle).join(" · ") : "Run",
        isNumber: false,
        width: state.widths.name ?? (isNarrow ? 160 : NAME_WIDTH),
        pinned: true,
        isRowHead: true,
        label: ({ row, isOpen, failure }) =>
          failure ? `The runs below ${row.name} were not read` : rowLabel(row, isOpen),
        ...(isGrouped ? {} : sorting("attributes.run_name", state)),
        cell: ({ row, depth, isOpen, failure }, index) =>
          failure ? (
            <Unread {...failure} depth={depth} />
          ) : (
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
                    checked={isSelected(row, state)}
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
      const width =
        state.widths[name] ??
        (field.aggregate === "curve"
          ? SPARK_WIDTH
          : isGrouped && isMetric(name)
            ? SPREAD_WIDTH
            : PLAIN_WIDTH);
      const isNumber =
        field.aggregate !== "curve" &&
        (found.kinds.get(name) ?? (field.entity === "metrics" ? "number" : "text")) === "number";
      result.push({
        key: name,
        title: titleOf(field),
        isNumber,
        width,
        // on a phone what stays would leave no room for the rest
        pinned: state.pinned.includes(name) && !isNarrow,
        ...sorting(name, state),
        cell: ({ row }) =>
          field.aggregate === "curve"
            ? !row.group && <SparkOf run={row.id} metric={field.key} width={width - CELL_PADDING} />
            : row.group
              ? spreadCell(row.values[index], row.group.spreads[index], state.statistic, name, found)
              : row.below?.[index]
                ? parentCell(row.values[index], row.below[index], name, found)
                : field.aggregate === "step"
                  ? stepCell(row.values[index], row.steps?.[index], field.step, name, found)
                  : valueCell(row.values[index], name, found),
        look: ({ row }) => {
          if (field.aggregate === "curve") return undefined;
          if (field.aggregate === "step" && !row.group)
            return stepLook(row.values[index], row.steps?.[index], field.step);
          if (!row.group) return valueLook(row.values[index], name, found);
          return spreadLook(row.values[index], row.group.spreads[index], state.statistic, name, found);
        },
      });
    }
    result.push({
      key: "start",
      title: "Started",
      isNumber: false,
      width: state.widths.start ?? 104,
      pinned: false,
      ...sorting("attributes.start_time", state),
      cell: ({ row }) => (row.start === null ? "" : ago(row.start)),
      look: ({ row }) => (row.start === null ? undefined : { title: moment(row.start) }),
    });
    result.push({
      key: "duration",
      title: "Duration",
      isNumber: true,
      width: state.widths.duration ?? 96,
      pinned: false,
      cell: ({ row }) => (row.start === null || row.end === null ? "" : duration(row.end - row.start)),
    });
    const [first, ...others] = result;
    const all = [first, ...others.map(emptyWhereUnread)] as typeof result;
    return [...all.filter((each) => each.pinned), ...all.filter((each) => !each.pinned)];
  }, [names, state, found, found.kinds.size]);
  const cellValue = (row: RunRow | undefined, name: string): string | undefined => {
    const value =
      name === FIXED.name && !row?.group ? row?.name || undefined : row?.values[names.indexOf(name)];
    const isSpread = row?.group && isMetric(name); // that is no value of a run
    return value === undefined || value === null || isSpread ? undefined : String(value);
  };
  const openMenu = (place: DOMRect, column: GridColumn<TreeRow<RunRow>>, row: RunRow | undefined) => {
    const name = FIXED[column.key] ?? column.key;
    const parts = cellMenu({
      name,
      names,
      state,
      isSortable: column.onSort !== undefined,
      value: cellValue(row, name),
      isNumber: column.isNumber,
      onFilter,
      onGroup: (by) => keepGrouping(by, state.statistic),
    });
    const group = row?.group;
    if (row && group)
      parts.unshift({
        items: [
          { text: "Only the runs of this group", keys: "f", run: () => onFilterGroup(group) },
          { text: "Select its runs", keys: "x", run: () => choose(row) },
        ],
      });
    else if (row)
      parts.unshift({
        items: [
          { text: `Open ${row.name || row.id.slice(0, 8)}`, keys: "Enter", run: () => openRun(row) },
          {
            text: isSelected(row, state) ? "Do not select it" : "Select it",
            keys: "x",
            run: () => choose(row),
          },
        ],
      });
    if (parts.length) setMenu({ place, label: column.title, parts });
  };
  return (
    <>
      <Grid
        label="Runs"
        rows={found.rows}
        columns={columns}
        rowKey={({ row, failure }) => (failure ? `below ${row.id}` : row.id)}
        isChosen={({ row, failure }) => !failure && isSelected(row, state)}
        onOpen={({ row, failure }, index) => {
          if (failure) failure.retry();
          else if (row.group) found.rows.toggle(index);
          else openRun(row);
        }}
        onChoose={({ row, failure }) => !failure && choose(row)}
        tree={{
          level: ({ depth }) => depth,
          isOpen: ({ row, isOpen, failure }) => (row.children > 0 && !failure ? isOpen : undefined),
          toggle: (index) => found.rows.toggle(index),
        }}
        onResize={(key, width) => keepWidths({ ...state.widths, [key]: width })}
        lit={litRun}
        onHover={(at) => (litRun.value = at && !at.row.group && !at.failure ? at.row.id : undefined)}
        onMenu={(place, column, at) => !at?.failure && openMenu(place, column, at?.row)}
        onKey={(event, at, column) => {
          const row = at?.row;
          if (event.key === "a" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
            event.preventDefault(); // text of the page would be selected
            onSelect(toggleAll(state));
            return;
          }
          if (!column || at?.failure || event.ctrlKey || event.metaKey || event.altKey) return;
          const isFilter = event.key === "f" || event.key === "F";
          const name = FIXED[column.key] ?? column.key;
          const value = cellValue(row, name);
          if (row?.group && event.key === "f" && column.key === "name") onFilterGroup(row.group);
          else if (isFilter && value !== undefined && fieldNamed(name)?.aggregate === "last")
            onFilter(name, value, event.key === "F" ? "!=" : "=");
          else if (event.key === "Backspace" && names.includes(column.key))
            keepColumns(names.filter((each) => each !== column.key));
          else return;
          event.preventDefault();
        }}
        onMove={(column, by) => {
          const at = names.indexOf(column.key);
          if (at < 0 || at + by < 0 || at + by >= names.length) return false;
          keepColumns(moved(names, column.key, by));
          return true;
        }}
      />
      {menu && <Menu {...menu} onClose={closeMenu} />}
    </>
  );
}

/** In the place of rows that could not be read. */
function Unread({ error, retry, depth }: NonNullable<TreeRow<RunRow>["failure"]> & { depth: number }) {
  const why = error instanceof Error ? error.message : String(error);
  return (
    <span class="run-name unread" role="alert" style={{ paddingLeft: `${depth * 16}px` }} title={why}>
      <button type="button" tabIndex={-1} onClick={retry}>
        Try again
      </button>
      <span>Not read: {why}</span>
    </span>
  );
}

/** A column whose cells are empty in the row that says so. */
const emptyWhereUnread = (column: GridColumn<TreeRow<RunRow>>): GridColumn<TreeRow<RunRow>> => ({
  ...column,
  cell: (at, index) => (at.failure ? "" : column.cell(at, index)),
  look: (at) => (at.failure ? undefined : column.look?.(at)),
});

/** Columns that each table has, as they are named elsewhere. */
const FIXED: Readonly<Record<string, string>> = {
  name: "attributes.run_name",
  start: "attributes.start_time",
};

function sorting(name: string, state: RunsState): Pick<GridColumn<TreeRow<RunRow>>, "sorted" | "onSort"> {
  const field = fieldNamed(name);
  // groups are ordered by the spread of last values
  const isPossible =
    field && (field.aggregate === "last" || (field.aggregate !== "curve" && !state.by.length));
  if (!isPossible) return {};
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

function numberOf(value: unknown, name: string, found: RunRows): number | undefined {
  if (value === undefined || value === null || found.kinds.get(name) !== "number") return undefined;
  return toNumber(value as number);
}

function valueCell(value: unknown, name: string, found: RunRows): ComponentChildren {
  if (value === undefined || value === null) return "";
  if (found.kinds.get(name) === "time" && typeof value === "number") return ago(value);
  const number = numberOf(value, name, found);
  if (number === undefined) return String(value);
  const range = found.ranges.get(name);
  if (!range || !isBest(number, range, name)) return shortNumber(number);
  return (
    <>
      <span class="best" role="img" aria-label="the best of all" />
      {shortNumber(number)}
    </>
  );
}

/** The whole value in words, and how far it is between the least and the largest of all found runs. */
function valueLook(
  value: unknown,
  name: string,
  found: RunRows,
): { title?: string; bar?: number } | undefined {
  if (value === undefined || value === null) return undefined;
  if (found.kinds.get(name) === "time" && typeof value === "number") return { title: moment(value) };
  const number = numberOf(value, name, found);
  if (number === undefined) return { title: String(value) };
  const range = found.ranges.get(name);
  const isBetween = range && range[1] > range[0] && Number.isFinite(number);
  return { title: String(value), ...(isBetween ? { bar: (number - range[0]) / (range[1] - range[0]) } : {}) };
}

/** A value at a step; where it is of an earlier one, that stands beside it. */
function stepCell(
  value: unknown,
  of: number | undefined,
  step: number | undefined,
  name: string,
  found: RunRows,
): ComponentChildren {
  if (of === undefined || of === step) return valueCell(value, name, found);
  return (
    <>
      <span class="quiet">{`@${of} `}</span>
      {valueCell(value, name, found)}
    </>
  );
}

function stepLook(value: unknown, of: number | undefined, step: number | undefined) {
  if (of === undefined) return undefined;
  const title = of === step ? `${value}` : `${value}, of step ${of}: there is none at step ${step}`;
  return { title };
}

function plainTitle(name: string): string {
  const field = fieldNamed(name);
  return field ? titleOf(field) : name;
}

/** A parent's own value, and the best of the runs below it; where the name does not say what is better, from least to largest. */
function parentCell(
  value: unknown,
  below: readonly [number, number],
  name: string,
  found: RunRows,
): ComponentChildren {
  const isHigher = isHigherBetter(name.slice("metrics.".length));
  const [low, high] = below;
  const text =
    isHigher === undefined && low !== high
      ? `${shortNumber(low)} … ${shortNumber(high)}`
      : shortNumber(isHigher ? high : low);
  const title = `${isHigher === undefined ? "The runs below it:" : "The best below it:"} ${text}`;
  return (
    <>
      {valueCell(value, name, found)}
      {value !== undefined && value !== null && <span class="hidden-text">, </span>}
      <span class="quiet below" title={title}>
        <span aria-hidden="true">▾ </span>
        <span class="hidden-text">below it </span>
        {text}
      </span>
    </>
  );
}

/** Whether no found run has a better last value; where the name does not say what is better, none is best. */
function isBest(value: number, [low, high]: readonly [number, number], name: string): boolean {
  if (low === high || !name.startsWith("metrics.")) return false;
  const isHigher = isHigherBetter(name.slice("metrics.".length));
  return isHigher !== undefined && value === (isHigher ? high : low);
}

/** What the first cell of a row says: what the row is, and not what each of the signs in it does. */
function rowLabel(row: RunRow, isOpen: boolean): string {
  if (row.group) return row.group.keys.map((key) => (key === null ? "none" : key || "empty")).join(", ");
  const below = row.children
    ? `, ${count(row.children)} ${row.children === 1 ? "run" : "runs"} below${isOpen ? "" : ", closed"}`
    : "";
  return `${row.name || row.id.slice(0, 8)}, ${statusText(row)}${below}`;
}

function statusText(row: RunRow): string {
  const silent = row.quietSince === undefined ? 0 : Date.now() - row.quietSince;
  return `${row.status.toLowerCase()}${silent > FORGOTTEN_MS ? `, but nothing logged for ${duration(silent)}` : ""}`;
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
  if (value === undefined) return "";
  if (!spread) return String(value);
  const isMean = statistic === "mean" && typeof spread.std === "number";
  // how wide runs spread is no value between the least and the largest
  const shown = statistic === "std" ? shortNumber(Number(value)) : valueCell(value, name, found);
  return (
    <span class="spread">
      {shown}
      {isMean && <span class="quiet"> ± {shortNumber(Number(Number(spread.std).toPrecision(2)))}</span>}
    </span>
  );
}

function spreadLook(
  value: unknown,
  spread: Spread | undefined,
  statistic: Statistic,
  name: string,
  found: RunRows,
) {
  if (!spread || value === undefined) return undefined;
  const bar = statistic === "std" ? undefined : valueLook(value, name, found)?.bar;
  return { title: spreadText(spread), ...(bar === undefined ? {} : { bar }) };
}

function Status({ row }: { row: RunRow }) {
  const isSilent = row.quietSince !== undefined && Date.now() - row.quietSince > FORGOTTEN_MS;
  const text = statusText(row);
  return (
    <span
      class={`status ${row.status}${isSilent ? " silent" : ""}`}
      role="img"
      aria-label={text}
      title={text}
    />
  );
}
