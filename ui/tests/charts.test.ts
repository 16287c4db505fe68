import { describe, expect, it } from "vitest";
import { type BandKind, bandSeries, filterOf, type WireBand } from "../src/charts/bands";
import { filterOfBrushes } from "../src/charts/brush_filter";
import { groupsOf } from "../src/charts/groups";
import { COLOURS, markAt } from "../src/charts/marks";
import { canvasPen, SvgPen } from "../src/charts/pen";
import { labelOf, scaleOver, share, stepFor, ticks, valueAt, zoomed } from "../src/charts/scale";
import { matching } from "../src/charts/search";
import {
  appended,
  clippedExtent,
  extentOf,
  lastUpTo,
  nearest,
  overMetric,
  type Series,
} from "../src/charts/series";
import { fieldOf } from "../src/charts/small/values";
import { axisFrom, wireInteger } from "../src/charts/wire_axis";

function series(x: number[], y: number[], more: Partial<Series> = {}): Series {
  const mid = Float64Array.from(y);
  return {
    run: "a",
    key: "loss",
    total: x.length,
    count: x.length,
    isRaw: true,
    firstStep: x[0] ?? 0,
    lastStep: x.at(-1) ?? 0,
    x: Float64Array.from(x),
    low: mid,
    high: mid,
    mid,
    smooth: undefined,
    odd: [],
    ...more,
  };
}

describe("scales", () => {
  it.each(["linear", "log", "symlog"] as const)("%s goes there and back", (kind) => {
    const scale = scaleOver(0.5, 4000, kind, 0.1);
    for (const part of [0, 0.25, 0.5, 1]) expect(share(scale, valueAt(scale, part))).toBeCloseTo(part, 9);
  });

  it("gives a range of one value some room, and a logarithm no zero", () => {
    expect(scaleOver(3, 3, "linear").max).toBeGreaterThan(3);
    const log = scaleOver(-5, 100, "log");
    expect(log.min).toBeGreaterThan(0);
    expect(log.max).toBe(100);
    expect(scaleOver(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "linear")).toMatchObject({
      min: 0,
      max: 1,
    });
  });

  it("zooms around a place", () => {
    expect(zoomed(scaleOver(0, 100, "linear"), 0.5, 0)).toEqual([0, 50]);
    expect(zoomed(scaleOver(1, 10_000, "log"), 0.5, 0.5).map(Math.round)).toEqual([10, 1000]);
  });

  it.each([
    [0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]],
    [0, 20_000, ["0", "5k", "10k", "15k", "20k"]],
    [-4, 3, ["−4", "−2", "0", "2"]],
  ])("has round ticks from %d to %d", (low, high, labels) => {
    expect(ticks(scaleOver(low, high, "linear"), 6).map((tick) => tick.label)).toEqual(labels);
  });

  it("has no half steps", () => {
    const labels = ticks(scaleOver(0, 2, "linear"), 8, "step").map((tick) => tick.label);
    expect(labels).toEqual(["0", "1", "2"]);
  });

  it("ticks powers of ten on logarithmic axes", () => {
    const labels = ticks(scaleOver(0.001, 1000, "log"), 8).map((tick) => tick.value);
    expect(labels).toContain(1);
    expect(labels.every((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6))).toBe(true);
    expect(ticks(scaleOver(-100, 100, "symlog", 1), 9).map((tick) => tick.value)).toContain(0);
  });

  it("steps by 1, 2 or 5", () => {
    expect([stepFor(10, 5), stepFor(11, 5), stepFor(0.03, 5)]).toEqual([2, 5, 0.01]);
  });
});

describe("series", () => {
  it("finds places", () => {
    const x = Float64Array.from([0, 10, 20]);
    expect([lastUpTo(x, -1), lastUpTo(x, 10), lastUpTo(x, 99)]).toEqual([-1, 1, 2]);
    expect([nearest(x, -5), nearest(x, 14), nearest(x, 16), nearest(x, 99)]).toEqual([0, 1, 2, 2]);
    expect(nearest(new Float64Array(0), 1)).toBe(-1);
  });

  it("puts behind it what came after the last point, once", () => {
    const grown = appended(series([1, 2, 3], [1, 2, 3]), series([3, 4], [9, 4], { total: 4, lastStep: 4 }));
    expect([...grown.x]).toEqual([1, 2, 3, 4]);
    expect([...grown.mid]).toEqual([1, 2, 3, 4]);
    expect(grown.total).toBe(4);
    expect(grown.low).toBe(grown.mid);
  });

  it("keeps the extent of columns that a mean would hide", () => {
    const spike = series([0, 1, 2], [1, 1, 1], { high: Float64Array.from([1, 40, 1]), isRaw: false });
    expect(extentOf([spike], 0, 2)).toEqual({ low: 1, high: 40 });
    expect(extentOf([spike], 1.5, 2).high).toBe(40); // its neighbour is drawn to, as well
  });

  it("leaves outliers out where it is told to", () => {
    const values = Array.from({ length: 1000 }, (_, at) => (at === 500 ? 1e6 : Math.sin(at)));
    expect(
      clippedExtent(
        [
          series(
            values.map((_, at) => at),
            values,
          ),
        ],
        0,
        1000,
      ).high,
    ).toBeLessThan(2);
  });

  it("lies over another metric, from left to right", () => {
    const over = overMetric(series([0, 1, 2, 3], [5, 6, 7, 8]), series([0, 2, 3], [30, 10, 0]));
    expect([...over.x]).toEqual([0, 10, 20, 30]);
    expect([...over.mid]).toEqual([8, 7, 6, 5]);
  });
});

describe("groups", () => {
  const all = [
    series([0, 1, 2], [0, 2, 4], { run: "a" }),
    series([0, 2], [4, 8], { run: "b" }),
    series([0, 1], [10, 10], { run: "c" }),
  ];
  const groupOf = (run: string) => (run === "c" ? "sgd" : "adam");

  it("has the mean of its runs, between their points too, and only where they are", () => {
    const [adam, sgd] = groupsOf(all, groupOf, "minmax");
    expect([adam?.value, adam?.runs, sgd?.value, sgd?.runs]).toEqual(["adam", 2, "sgd", 1]);
    expect([...(adam?.series.x ?? [])]).toEqual([0, 1, 2]);
    expect([...(adam?.series.mid ?? [])]).toEqual([2, 4, 6]);
    expect([...(adam?.series.low ?? [])]).toEqual([0, 2, 4]);
    expect([...(adam?.series.high ?? [])]).toEqual([4, 6, 8]);
    expect([...(sgd?.series.x ?? [])]).toEqual([0, 1]);
  });

  it("has the standard deviation as its band", () => {
    const [adam] = groupsOf(all, groupOf, "std");
    expect([...(adam?.series.low ?? [])]).toEqual([0, 2, 4]);
    expect([...(adam?.series.high ?? [])]).toEqual([4, 6, 8]);
  });
});

describe("marks", () => {
  it("tells forty runs apart by colour, dash or marker", () => {
    const looks = Array.from({ length: 5 * COLOURS }, (_, slot) => JSON.stringify(markAt(slot, false)));
    expect(new Set(looks).size).toBe(looks.length);
  });

  const light = (hex: string) => {
    const parts = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
    const [red, green, blue] = parts.map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
    ) as [number, number, number];
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  it.each([
    ["light", "#ffffff"],
    ["dark", "#14171c"],
  ])("has contrast on the %s ground", (theme, ground) => {
    for (let slot = 0; slot < COLOURS; slot++) {
      const [one, other] = [light(markAt(slot, theme === "dark").colour), light(ground)];
      expect((Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)).toBeGreaterThanOrEqual(3);
    }
  });
});

describe("search", () => {
  it.each([
    ["loss", ["train/loss", "val/loss"]],
    ["val lo", ["val/loss"]],
    ["^train", ["train/loss", "train/acc"]],
    ["acc$|val", ["train/acc", "val/loss"]],
    ["(", []],
  ])("%s", (text, found) => {
    expect(matching(["train/loss", "train/acc", "val/loss"], text)).toEqual(found);
  });
});

it("writes SVG in which names stay names", () => {
  const pen = new SvgPen(100, 50);
  pen.text('<script>"&', 1, 2, { colour: "red", align: "left" });
  pen.line([0, 1, 2], [0, Number.NaN, 2], { colour: "blue", width: 1 });
  const svg = pen.document();
  expect(svg).toContain("&lt;script&gt;&quot;&amp;");
  expect(svg).toContain("M0 0M2 2");
});

describe("bands of groups", () => {
  const band: WireBand = {
    keys: ["a", null],
    found: 4,
    runs: 4,
    points: 8,
    column: 3,
    x: { start: 0, step: 3, count: 2 },
    counts: [4, 1],
    mean: [1, 2],
    std: [0.5, null],
    median: [0.9, 2],
    lower: [0.8, 2],
    upper: [1.2, 2],
    low: [-3, 2],
    high: ["Infinity" as unknown as number, 2],
    smooth: [1.5, 1.75],
    smooth_median: [1.4, 1.6],
  };
  const edges = (kind: BandKind) => {
    const { low, high } = bandSeries(band, "m", "mean", kind);
    return [low[0], high[0], low[1], high[1]];
  };

  it("are the edges that were chosen, and a run alone has none", () => {
    expect(edges("minmax")).toEqual([-3, Number.POSITIVE_INFINITY, 2, 2]);
    expect(edges("std")).toEqual([0.5, 1.5, 2, 2]);
    expect(edges("ci")).toEqual([1 - 0.49, 1 + 0.49, 2, 2]);
    expect(edges("quartiles")).toEqual([0.8, 1.2, 2, 2]);
  });

  it("lie in the middle of their columns, by mean or median", () => {
    const mean = bandSeries(band, "m", "mean", "std");
    expect([...mean.x]).toEqual([1, 4]);
    expect([...mean.mid]).toEqual([1, 2]);
    expect([...(mean.smooth ?? [])]).toEqual([1.5, 1.75]);
    const median = bandSeries(band, "m", "median", "std");
    expect([...median.mid]).toEqual([0.9, 2]);
    expect([...(median.smooth ?? [])]).toEqual([1.4, 1.6]);
    expect(median.run).toBe('group ["a",null]');
  });

  it("are found again by a filter", () => {
    const query = {
      experiment_ids: ["1"],
      filter: "metrics.loss < 1",
      view_type: "ACTIVE_ONLY" as const,
      by: ["params.model/size", "tags.team"],
      limit: 20,
    };
    expect(filterOf(query, ["it's", null])).toBe(
      'metrics.loss < 1 AND params.`model/size` = "it\'s" AND tags.team IS NULL',
    );
    expect(filterOf({ ...query, filter: " " }, ["a", "b"])).toBe(
      "params.`model/size` = 'a' AND tags.team = 'b'",
    );
  });
});

/** What a canvas is told, of the calls that matter here. */
function recorded(ratio = 1) {
  const strokes: { width: number; from: number; alpha: number }[] = [];
  const boxes: number[][] = [];
  const context = {
    globalAlpha: 1,
    lineWidth: 1,
    getTransform: () => ({ a: ratio }),
    setLineDash: () => {},
    beginPath: () => {},
    lineTo: () => {},
    start: 0,
    moveTo(_: number, y: number) {
      this.start = y;
    },
    stroke() {
      strokes.push({ width: this.lineWidth, from: this.start, alpha: this.globalAlpha });
    },
    fillRect: (...box: number[]) => boxes.push(box),
  };
  return { pen: canvasPen(context as unknown as CanvasRenderingContext2D), strokes, boxes };
}

describe("a pen on a canvas", () => {
  const x = Array.from({ length: 400 }, (_, at) => at);
  const y = x.map(() => 10);

  it("draws dense lines by hairs, as wide together as the line", () => {
    const one = recorded();
    one.pen.line(x, y, { colour: "red", width: 1.5 });
    expect(one.strokes).toEqual([
      { width: 1, from: 9.75, alpha: 1 },
      { width: 1, from: 10.25, alpha: 1 },
    ]);
    const fine = recorded(2);
    fine.pen.line(x, y, { colour: "red", width: 1.5 });
    expect(fine.strokes.map((each) => [each.width, each.from])).toEqual([
      [0.5, 9.5],
      [0.5, 10],
      [0.5, 10.5],
    ]);
  });

  it("draws few points, bold lines and those that shine through by one stroke", () => {
    const one = recorded();
    one.pen.line(x.slice(0, 20), y, { colour: "red", width: 1.5 });
    one.pen.line(x, y, { colour: "red", width: 3 });
    one.pen.line(x, y, { colour: "red", width: 1.5, alpha: 0.3 });
    expect(one.strokes.map((each) => each.width)).toEqual([1.5, 3, 1.5]);
  });

  it("fills columns that touch without a seam, none of them away", () => {
    const { pen, boxes } = recorded();
    const places = [10.3, 12.5, 14.7, 16.9];
    pen.columns(places, [5, 5, 5, 5], [5, 9.2, Number.NaN, 5], 2.2, { colour: "red", width: 1, alpha: 0.4 });
    expect(boxes).toEqual([
      [9, 5, 2, 1],
      [11, 5, 3, 5],
      [16, 5, 2, 1],
    ]);
  });
});

describe("steps beyond 2⁵³", () => {
  it("are told to be rounded", () => {
    expect(labelOf(2 ** 53 - 1, "step")).toBe("9,007,199,254,740,991");
    expect(labelOf(2 ** 53, "step")).toMatch(/^≈ 9,007,199,254,740,99/);
    expect(labelOf(-(2 ** 60), "step")).toMatch(/^≈ -1,152,921/);
  });

  it("do not stand still where they are far out", () => {
    const found = axisFrom({ start: 2 ** 60, step: 1, deltas: Array(1000).fill(1) });
    expect(found[1000]).toBe(2 ** 60 + 1024);
    expect([...axisFrom({ start: 5, step: 2, count: 3 })]).toEqual([5, 7, 9]);
  });

  it("are asked for within 64 bits", () => {
    expect(BigInt(wireInteger(1e30)) < 2n ** 63n).toBe(true);
    expect(BigInt(wireInteger(-1e30))).toBe(-(2n ** 63n));
    expect(wireInteger(7)).toBe(7);
  });
});

describe("the filter of a brush", () => {
  const fields = [
    fieldOf("params.model", ["vit", "bert", "t5", "vit"]),
    fieldOf("params.lr", ["1e-3", "0.1", "0.01", undefined]),
    fieldOf("metrics.val/loss", ["0.5", "1.5", "NaN", "0.25"]),
  ];
  const ids = ["a", "b", "c", "d"];
  const of = (name: string, from: number, to: number, filter = "") =>
    filterOfBrushes(filter, [{ name, from, to }], fields, ids);

  it("bounds metrics, and names values of params", () => {
    expect(of("metrics.val/loss", 0.2, 0.6, "params.x = '1'")).toBe(
      "params.x = '1' AND metrics.`val/loss` >= 0.2 AND metrics.`val/loss` <= 0.6",
    );
    expect(of("params.model", 1.9, 2.1)).toBe("params.model = 'vit'");
    expect(of("params.lr", 0, 0.05)).toBe("params.lr != '0.1'");
  });

  it("names the runs where values outside are too many, and else says that it cannot", () => {
    const texts = Array.from({ length: 300 }, (_, at) => String(at));
    const many = [fieldOf("params.seed", texts)];
    const brush = (to: number) => [{ name: "params.seed", from: 0, to }];
    expect(filterOfBrushes("", brush(1), many, texts)).toBe("attributes.run_id IN ('0', '1')");
    expect(filterOfBrushes("", brush(200), many, texts)).toBeUndefined();
  });
});
