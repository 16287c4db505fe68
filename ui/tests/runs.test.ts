import { describe, expect, it, vi } from "vitest";
import { cellMenu, moved } from "../src/runs/cell_menu";
import { fieldNamed, isCurve, nameOf } from "../src/runs/columns";
import {
  isSelected,
  NOTHING,
  type Selection,
  toggleAll,
  toggleGroup,
  toggleRun,
} from "../src/runs/selection";
import type { RunsState } from "../src/runs/state";
import type { RunRow } from "../src/runs/table";
import { rowsOf, type TablePage } from "../src/runs/table";

// what these files import looks at the address of the page
vi.hoisted(() => {
  const there = "http://127.0.0.1/experiments/1";
  vi.stubGlobal("document", { baseURI: "http://127.0.0.1/" });
  vi.stubGlobal("location", { href: there, origin: "http://127.0.0.1" });
});

const state = {
  filter: "",
  order: undefined,
  columns: undefined,
  widths: {},
  pinned: [],
  by: [],
  statistic: "mean",
  isTrash: false,
  isFlat: false,
  view: "table",
  selection: { ids: [], filters: [], except: [] },
} as const;

const about = {
  name: "metrics.loss",
  names: ["params.lr", "metrics.loss", "tags.team"],
  state,
  isSortable: true,
  value: "0.5",
  isNumber: true,
  onFilter: () => {},
  onGroup: () => {},
};

const texts = (changes: object = {}) =>
  cellMenu({ ...about, ...changes }).flatMap((part) => part.items.map((item) => item.text));

describe("columns", () => {
  it("names curves", () => {
    const field = fieldNamed("metrics.val/loss:curve");
    expect(field).toEqual({ entity: "metrics", key: "val/loss", aggregate: "curve" });
    expect(field && nameOf(field)).toBe("metrics.val/loss:curve");
    expect(isCurve("metrics.val/loss:curve")).toBe(true);
    expect(isCurve("params.a:curve")).toBe(false);
  });

  it("moves one by one place, and not beyond the edges", () => {
    expect(moved(["a", "b", "c"], "b", 1)).toEqual(["a", "c", "b"]);
    expect(moved(["a", "b", "c"], "b", -1)).toEqual(["b", "a", "c"]);
    expect(moved(["a", "b", "c"], "a", -1)).toEqual(["a", "b", "c"]);
  });
});

describe("the menu of a cell", () => {
  it("has bounds for metrics only", () => {
    expect(texts()).toContain("At least this much");
    expect(texts({ name: "params.lr" })).not.toContain("At least this much");
  });

  it("does not filter by what the language cannot say", () => {
    expect(texts({ name: "metrics.loss:min", names: ["metrics.loss:min"] })).not.toContain(
      "Only runs that have it",
    );
    expect(texts({ value: undefined })).not.toContain("Copy");
  });

  it("groups by params and tags", () => {
    expect(texts({ name: "params.lr" })).toContain("Group by it");
    expect(texts({ name: "params.lr", state: { ...state, by: ["params.lr"] } })).not.toContain("Group by it");
    expect(texts()).not.toContain("Group by it");
  });

  it("says which value of a metric is shown", () => {
    const items = cellMenu({ ...about, name: "metrics.loss:max", names: ["metrics.loss:max"] }).flatMap(
      (part) => part.items,
    );
    expect(items.filter((item) => item.isChecked).map((item) => item.text)).toEqual(["largest"]);
  });
});

describe("rows", () => {
  it("know what is below them only where something is", () => {
    const page: TablePage = {
      total: 2,
      offset: 0,
      run_ids: ["a", "b"],
      names: ["one", "two"],
      statuses: ["RUNNING", "RUNNING"],
      start_times: [1, 2],
      end_times: [null, null],
      children: [0, 2],
      columns: [
        { key: "metrics.m", kind: "number", values: [1, null], child_ranges: [null, [3, 4]] },
        { key: "params.p", kind: "text", values: ["x", "y"], child_ranges: null },
      ],
    };
    expect(rowsOf(page).map((row) => row.below)).toEqual([undefined, [[3, 4], undefined]]);
  });
});

describe("selected runs", () => {
  const row = (id: string, more: Partial<RunRow> = {}): RunRow => ({
    id,
    name: id,
    status: "FINISHED",
    start: 1,
    end: 2,
    quietSince: undefined,
    experiment: undefined,
    children: 0,
    values: [],
    ...more,
  });
  const group = (key: string) => row(`group ${key}`, { group: { keys: [key], runs: 2, spreads: [] } });
  const selecting = (selection: Selection): RunsState => ({
    ...state,
    by: ["params.lr"],
    filter: "tags.a = 'b'",
    selection,
  });

  it("are all that the filter finds, but for those that are taken out again", () => {
    const all = toggleAll(selecting(NOTHING));
    expect(all).toEqual({ ids: [], filters: ["tags.a = 'b'"], except: [] });
    expect(isSelected(row("r"), selecting(all))).toBe(true);
    const but = toggleRun(row("r"), selecting(all));
    expect(isSelected(row("r"), selecting(but))).toBe(false);
    expect(isSelected(row("s"), selecting(but))).toBe(true);
    expect(toggleRun(row("r"), selecting(but))).toEqual(all);
    expect(toggleAll(selecting(but))).toEqual(all);
    expect(toggleAll(selecting(all))).toEqual(NOTHING);
  });

  it("are those of groups, with what is open below them", () => {
    const one = toggleGroup(["1"], selecting(NOTHING));
    expect(one.filters).toEqual(["tags.a = 'b' AND params.lr = '1'"]);
    expect(isSelected(group("1"), selecting(one))).toBe(true);
    expect(isSelected(group("2"), selecting(one))).toBe(false);
    expect(isSelected(row("r", { of: one.filters[0] as string }), selecting(one))).toBe(true);
    expect(isSelected(row("r", { of: "tags.a = 'b' AND params.lr = '2'" }), selecting(one))).toBe(false);
    expect(toggleGroup(["1"], selecting(one))).toEqual(NOTHING);
    const other = toggleRun(row("r", { of: "another" }), selecting(one));
    expect(other.ids).toEqual(["r"]);
  });
});
