// @vitest-environment node
import { beforeAll, expect, test, vi } from "vitest";

type Compare = typeof import("../src/compare/state");
type Runs = typeof import("../src/runs/state");
type Router = typeof import("../src/app/router");
let compare: Compare;
let runs: Runs;
let router: Router;
let charts: typeof import("../src/charts/settings");
const replaced: string[] = [];

beforeAll(async () => {
  vi.stubGlobal("document", { baseURI: "http://localhost/" });
  vi.stubGlobal("location", { href: "http://localhost/#//evil.example/x" });
  vi.stubGlobal("history", {
    replaceState: (_: unknown, __: string, to: string) => replaced.push(to),
    pushState: () => {},
  });
  vi.stubGlobal("window", { scrollTo: () => {} });
  router = await import("../src/app/router");
  compare = await import("../src/compare/state");
  runs = await import("../src/runs/state");
  charts = await import("../src/charts/settings");
});

test("what stands behind a hash stays on this server", () => {
  expect(replaced).toEqual(["http://localhost/evil.example/x"]);
});

test("a brush is as it was drawn, also where numbers are large and close", () => {
  const brushes = [
    { name: "metrics.a~b=c", from: -0.1234567891, to: 1e-9 },
    { name: "params.t", from: 1_767_225_600_001, to: 1_767_225_600_002 },
  ];
  compare.keepBrushes(brushes);
  expect(compare.readCompare().brushes).toEqual(brushes);
});

test("no column at all is none, and not one without a name", () => {
  runs.keepColumns([]);
  expect(router.url.value.search).toContain("columns=");
  expect(runs.readState().columns).toEqual([]);
  runs.keepColumns(["params.a,b"]);
  expect(runs.readState().columns).toEqual(["params.a,b"]);
});

test("a window of a few milliseconds of today is one", () => {
  charts.keepZoom([1_767_225_600_001.25, 1_767_225_600_004]);
  expect(charts.readSettings().zoom).toEqual([1_767_225_600_001.25, 1_767_225_600_004]);
});

test("charts are grouped by what a table is grouped by, whatever its name", () => {
  runs.keepGrouping(["params.a,b", "tags.c"], "mean");
  expect(charts.readSettings().groupBy).toEqual(["params.a,b", "tags.c"]);
  charts.keepGroup(["params.d,e"]);
  expect(charts.readSettings().groupBy).toEqual(["params.d,e"]);
  expect(runs.readState().by).toEqual(["params.d,e"]);
  charts.keepGroup([]);
  expect(runs.readState().by).toEqual([]);
});
