/** What of a runs table is in the address. */

import { query, setQuery } from "../app/router";
import { listFromText, listToText } from "./columns";
import { STATISTICS, type Statistic } from "./groups";
import type { Selection } from "./selection";

export interface RunsState {
  readonly filter: string;
  readonly order: { readonly name: string; readonly isDescending: boolean } | undefined;
  /** `undefined` lets the page choose those that tell runs apart. */
  readonly columns: readonly string[] | undefined;
  readonly widths: Readonly<Record<string, number>>;
  /** Columns that stay at the left edge. */
  readonly pinned: readonly string[];
  /** What runs are grouped by; none for each by itself. */
  readonly by: readonly string[];
  readonly statistic: Statistic;
  readonly isTrash: boolean;
  /** Whether nested runs stand among the others also where nothing is searched or sorted. */
  readonly isFlat: boolean;
  readonly view: "table" | "charts";
  readonly selection: Selection;
}

export function readState(): RunsState {
  const params = query.value;
  const order = params.get("order");
  const columns = params.get("columns");
  return {
    filter: params.get("filter") ?? params.get("searchFilter") ?? "",
    order: order ? { name: order.replace(/^-/, ""), isDescending: order.startsWith("-") } : undefined,
    columns: columns === null ? undefined : listFromText(columns).filter((name) => name !== ""),
    widths: widthsFrom(params.get("widths") ?? ""),
    pinned: listFromText(params.get("left") ?? ""),
    by: listFromText(params.get("by") ?? ""),
    statistic: STATISTICS.find((each) => each === params.get("of")) ?? "mean",
    isTrash: params.get("trash") === "1",
    isFlat: params.get("flat") === "1",
    view: params.get("view") === "charts" ? "charts" : "table",
    selection: {
      ids: listFromText(params.get("chosen") ?? ""),
      filters: listFromText(params.get("all") ?? "").map((each) => each.slice(1)),
      except: listFromText(params.get("but") ?? ""),
    },
  };
}

function widthsFrom(text: string): Record<string, number> {
  const widths: Record<string, number> = {};
  for (const pair of listFromText(text)) {
    const at = pair.lastIndexOf("=");
    const width = Number(pair.slice(at + 1));
    if (at > 0 && width > 0) widths[pair.slice(0, at)] = width;
  }
  return widths;
}

/** Filters that are selected are gone with what showed what they find. */
const NO_FILTERS = { all: null, but: null };

export const keepFilter = (filter: string) => setQuery({ filter, searchFilter: null, ...NO_FILTERS }, {});

export const keepOrder = (name: string | undefined, isDescending: boolean) =>
  setQuery({ order: name === undefined ? null : (isDescending ? "-" : "") + name }, {});

export const keepColumns = (names: readonly string[] | undefined) =>
  setQuery({ columns: names === undefined ? null : listToText(names) || "," }, {});

export function keepWidths(widths: Readonly<Record<string, number>>): void {
  setQuery({
    widths: listToText(Object.entries(widths).map(([name, width]) => `${name}=${Math.round(width)}`)),
  });
}

export const keepPinned = (names: readonly string[]) => setQuery({ left: listToText(names) }, {});
export const keepSelection = ({ ids, filters, except }: Selection) =>
  setQuery({
    chosen: listToText(ids),
    all: listToText(filters.map((each) => `=${each}`)),
    but: listToText(except),
  });
export const keepTrash = (isTrash: boolean) =>
  setQuery({ trash: isTrash ? "1" : null, chosen: null, ...NO_FILTERS }, {});
export const keepView = (view: RunsState["view"]) => setQuery({ view: view === "table" ? null : view }, {});
export const keepGrouping = (by: readonly string[], statistic: Statistic) =>
  setQuery(
    { by: by.length ? listToText(by) : null, of: statistic === "mean" ? null : statistic, ...NO_FILTERS },
    {},
  );
