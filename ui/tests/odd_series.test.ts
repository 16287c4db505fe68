/** Series with values and steps that are hardly ever logged: what the charts say of them must be right all the same. */

import { describe, expect, it, vi } from "vitest";
import { type Picture, paint, readAt } from "../src/charts/draw";
import { seriesFrom, type WireSeries } from "../src/charts/envelope";
import { csvOf } from "../src/charts/export";
import { SvgPen } from "../src/charts/pen";
import { labelOf, type ScaleKind, scaleOver, share, ticks, valueAt } from "../src/charts/scale";
import { appended, extentOf, isBehind, isElsewhere, type Series, straightPart } from "../src/charts/series";
import { summaryOf } from "../src/charts/summary";

// requests ask where the page is from
vi.hoisted(() => vi.stubGlobal("document", { baseURI: "http://here/" }));

const MAX = Number.MAX_VALUE;
const INKS = { back: "#fff", text: "#000", quiet: "#444", line: "#ccc", accent: "#06c" };

const wire = (more: Partial<WireSeries>): WireSeries => ({
  run_id: "a",
  key: "loss",
  total: more.y?.length ?? 0,
  count: more.y?.length ?? 0,
  first_step: 0,
  last_step: (more.y?.length ?? 1) - 1,
  raw: true,
  column: 1,
  x: { start: 0, step: 1, count: more.y?.length ?? 0 },
  ...more,
});

function pictureOf(series: Series, kind: ScaleKind = "linear"): Picture {
  const { low, high } = extentOf([series], 0, 1e9, { onlyPositive: kind === "log" });
  return {
    width: 400,
    height: 200,
    lines: [{ series, mark: { colour: "#06c", dash: [], marker: "circle" }, label: "loss" }],
    x: scaleOver(series.firstStep, series.lastStep, "linear"),
    y: scaleOver(low, high, kind, kind === "symlog" ? straightPart([series]) : 1, 0.04),
    xUnit: "step",
    xTitle: "step",
    inks: INKS,
    isSmoothed: false,
  };
}

describe("values at the ends of the doubles", () => {
  it.each(["linear", "log", "symlog"] as const)("have places on an axis that is %s", (kind) => {
    for (const values of [
      [1e308, -1e308, 1.5e308],
      [MAX, MAX],
      [MAX, 1e-308],
      [1e-308, 6e-308],
      [5e-324, 1e-323],
      [-MAX, MAX],
    ]) {
      const picture = pictureOf(seriesFrom(wire({ y: values })), kind);
      const { min, max } = picture.y;
      expect([values, Number.isFinite(min) && Number.isFinite(max) && min < max]).toEqual([values, true]);
      const found = ticks(picture.y, 6);
      expect(found.length).toBeLessThanOrEqual(20);
      for (const tick of found) expect(share(picture.y, tick.value)).toSatisfy(Number.isFinite);
      const frame = paint(new SvgPen(400, 200), picture);
      const tops = readAt(picture, frame.box, 0).map((reading) => reading.top);
      if (kind !== "log") expect(tops.every(Number.isFinite)).toBe(true);
    }
  });

  it("are apart where they differ", () => {
    const picture = pictureOf(seriesFrom(wire({ y: [1e-308, 6e-308] })));
    const { box } = paint(new SvgPen(400, 200), picture);
    const [first] = readAt(picture, box, 0);
    const [last] = readAt(picture, box, 1);
    expect((first?.top ?? 0) - (last?.top ?? 0)).toBeGreaterThan(box.height / 2);
    expect(valueAt(scaleOver(-MAX, MAX, "linear"), 0.5)).toBe(0);
  });
});

describe("ticks", () => {
  it.each([
    [3_000_000_000, 3_000_980_000, "step"],
    [123_456_789_000, 123_456_790_000, "step"],
    [123_456_000, 123_457_000, "number"],
    [1e-9, 1.0001e-9, "number"],
    [9e15, 9e15 + 4000, "step"],
    [1.0e300, 1.00001e300, "number"],
  ] as const)("from %d to %d never read alike", (low, high, unit) => {
    const labels = ticks(scaleOver(low, high, "linear"), 6, unit).map((tick) => tick.label);
    expect(labels.length).toBeGreaterThan(1);
    expect(new Set(labels).size).toBe(labels.length);
  });

  it("have no minus before nought", () => expect(labelOf(-0.2, "step")).toBe("0"));
});

describe("what is not finite", () => {
  const series = seriesFrom(
    wire({
      y: [1, null, 3, null, 5, null],
      nan: [5],
      infinite: [1],
      minus_infinite: [3],
      smooth: [1, null, 2, null, 3, null],
    }),
  );

  it("is there once, as what it is", () => {
    expect([...series.x]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...series.mid]).toEqual([1, Infinity, 3, -Infinity, 5, Number.NaN]);
    expect([...(series.smooth ?? [])]).toEqual([1, 1, 2, 2, 3, 3]);
    expect(
      csvOf(pictureOf(series))
        .split("\n")
        .slice(1)
        .map((row) => row.split(",")[4]),
    ).toEqual(["1", "Infinity", "3", "-Infinity", "5", "NaN"]);
  });

  it("neither stretches an axis nor is drawn as a line", () => {
    expect(extentOf([series], 0, 9)).toEqual({ low: 1, high: 5 });
    expect(straightPart([series])).toBe(1);
    const pen = new SvgPen(400, 200);
    paint(pen, pictureOf(series));
    expect(pen.document()).not.toMatch(/NaN|Infinity/);
    expect(summaryOf(pictureOf(series))).toContain("most 3 at 4, not finite at 3 places");
  });

  it("of one place is each used", () => {
    const twice = seriesFrom(
      wire({
        y: [null, null, 2],
        x: { start: 4, step: 1, deltas: [0, 1] },
        nan: [4],
        infinite: [4],
      }),
    );
    expect([...twice.mid]).toEqual([Number.NaN, Infinity, 2]);
  });
});

describe("columns", () => {
  const noise = seriesFrom(
    wire({
      total: 40,
      count: 40,
      raw: false,
      column: 20,
      x: { start: 0, step: 20, count: 2 },
      last_step: 39,
      low: [-3, -2],
      high: [2, 4],
      mean: [-0.1, 0.3],
    }),
  );

  it("are told with what is least and most in them, not with their means", () => {
    expect(summaryOf(pictureOf(noise))).toContain("least −3 at 10, most 4 at 30");
  });

  it("that reach below zero have a logarithm of what is above it", () => {
    expect(extentOf([noise], 0, 99, { onlyPositive: true })).toEqual({ low: 0.3, high: 4 });
  });
});

describe("points that come", () => {
  const shown = seriesFrom(wire({ y: [1, 2, 3] }));
  const tail = (steps: number[], total: number) =>
    seriesFrom(
      wire({
        y: steps,
        total,
        x: {
          start: steps[0] ?? 0,
          step: 1,
          deltas: steps.slice(1).map((step, at) => step - (steps[at] ?? 0)),
        },
      }),
    );

  it("are put behind only where all of them are", () => {
    expect(isBehind(shown, tail([2, 3, 4], 5))).toBe(true);
    expect(isBehind(shown, tail([2, 3], 6))).toBe(false); // two began at step 0 again
    expect(isBehind(shown, tail([2, 2], 4))).toBe(false); // one has the last step
    expect(isBehind(shown, { ...tail([2, 3], 4), isRaw: false })).toBe(false);
  });

  it("are counted, and what is not finite once", () => {
    const whole = { ...shown, total: 900, count: 900, isRaw: false, odd: [{ x: 5, kind: "NaN" as const }] };
    const more = { ...tail([2, 3], 901), odd: [{ x: 5, kind: "NaN" as const }] };
    expect(appended(whole, more)).toMatchObject({ total: 901, count: 901, odd: [{ x: 5 }] });
  });
});

describe("what is read elsewhere", () => {
  it("is told of single points, and of columns beyond the next", () => {
    const raw = seriesFrom(wire({ y: [1, 2], x: { start: 0, step: 1000, count: 2 } }));
    expect([isElsewhere(raw, 1, 400, 0), isElsewhere(raw, 1, 1000, 0)]).toEqual([true, false]);
    expect(isElsewhere(raw, 1, 995, 10)).toBe(false);
    const columns = { ...raw, isRaw: false };
    expect([isElsewhere(columns, 1, 400, 0), isElsewhere(columns, 1, 2500, 0)]).toEqual([false, true]);
  });
});
