import { describe, expect, it } from "vitest";
import { mediaByKey, mediaFrom, placeOf, placeText } from "../src/charts/media_files";
import { SvgPen } from "../src/charts/pen";
import { importances, ranks } from "../src/charts/small/correlation";
import { paintHistogram } from "../src/charts/small/paint";
import { fieldOf, kindFor } from "../src/charts/small/values";
import { comparedOf } from "../src/compare/compared";
import { lineDiff } from "../src/compare/line_diff";
import { stepsOf, upTo } from "../src/compare/media_at";
import { differingPackages, packagesOf } from "../src/compare/packages";

describe("rank correlation", () => {
  it("shares ranks between equals", () => {
    expect(ranks([10, 20, 20, 5])).toEqual([2, 3.5, 3.5, 1]);
  });

  it("is 1 for what only grows together, −1 for the opposite, and eta for names", () => {
    const target = fieldOf("metrics.acc", ["0.1", "0.2", "0.3", "0.4", "0.5", "0.9"]);
    const found = importances(
      [
        fieldOf("params.lr", ["1", "10", "100", "1000", "1e4", "1e9"]),
        fieldOf("params.dropout", ["9", "8", "7", "3", "2", "1"]),
        fieldOf("params.model", ["a", "a", "b", "b", "c", "c"]),
        fieldOf("params.same", ["1", "1", "1", "1", "1", "1"]),
        fieldOf("params.own", ["u", "v", "w", "x", "y", "z"]),
      ],
      target,
    );
    const by = Object.fromEntries(found.map((each) => [each.field.title, each]));
    expect(by.lr?.value).toBeCloseTo(1);
    expect(by.dropout?.value).toBeCloseTo(-1);
    expect(by.model?.kind).toBe("names");
    expect(by.model?.value).toBeGreaterThan(0.9);
    expect(by.same).toBeUndefined();
    expect(by.own).toBeUndefined(); // a name of its own for each run tells nothing
  });
});

describe("fields", () => {
  it("takes numbers as numbers and everything else as names in order", () => {
    expect(fieldOf("params.lr", ["1e-3", undefined, "0.1"]).numbers).toEqual([0.001, Number.NaN, 0.1]);
    const layers = fieldOf("params.size", ["b10", "b2", "b2"]);
    expect(layers.names).toEqual(["b2", "b10"]);
    expect(layers.numbers).toEqual([1, 0, 0]);
  });

  it("spreads what spans powers of ten", () => {
    expect(kindFor(fieldOf("params.lr", ["1e-5", "1e-3", "0.1"]))).toBe("log");
    expect(kindFor(fieldOf("params.layers", ["6", "12", "24"]))).toBe("linear");
  });
});

describe("line diff", () => {
  const signs = (one: string, other: string) =>
    lineDiff(one, other)
      .map((line) => ({ same: " ", removed: "-", added: "+" })[line.kind] + line.text)
      .join("|");
  it.each([
    ["a\nb\nc", "a\nb\nc", " a| b| c"],
    ["a\nb\nc", "a\nx\nc", " a|-b|+x| c"],
    ["a\nc", "a\nb\nc", " a|+b| c"],
    ["a\nb", "b\na", "-a| b|+a"],
  ])("%j and %j", (one, other, expected) => {
    expect(signs(one, other)).toBe(expected);
  });

  it("gives back both texts, whatever they are", () => {
    let seed = 7;
    const dice = (most: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % most;
    };
    for (let round = 0; round < 200; round++) {
      const [one, other] = [0, 1].map(() =>
        Array.from({ length: 1 + dice(30) }, () => String(dice(5))).join("\n"),
      ) as [string, string];
      const lines = lineDiff(one, other);
      const kept = (left: string) =>
        lines
          .filter((line) => line.kind !== left)
          .map((line) => line.text)
          .join("\n");
      expect(kept("added")).toBe(one);
      expect(kept("removed")).toBe(other);
    }
  });

  it("does not take for ever where nothing is alike", () => {
    const one = Array.from({ length: 20_000 }, (_, at) => `one ${at}`).join("\n");
    const other = Array.from({ length: 20_000 }, (_, at) => `other ${at}`).join("\n");
    expect(lineDiff(one, other)).toHaveLength(40_000);
  });
});

it("tells which packages differ", () => {
  const one = packagesOf(
    "numpy==2.1.0\ntorch==2.5.0 ; sys_platform == 'linux'\n# mine @ file:///home/me/mine\n",
  );
  const other = packagesOf("NumPy==2.2.0\ntorch==2.5.0\nextra_things==1\n");
  expect(differingPackages([one, undefined, other])).toEqual([
    { name: "extra-things", versions: ["–", undefined, "1"] },
    { name: "mine", versions: ["file:///home/me/mine", undefined, "–"] },
    { name: "numpy", versions: ["2.1.0", undefined, "2.2.0"] },
  ]);
});

describe("media by step", () => {
  it("reads the names that log_image gives", () => {
    expect(mediaFrom("images/val#pred%step%3%timestamp%1700000000000%2f5c.png")).toMatchObject({
      key: "val/pred",
      step: 3,
      time: 1_700_000_000_000,
      kind: "image",
    });
    expect(mediaFrom("images/plot.png")).toBeUndefined();
  });

  it("each file of a step has its place in the address", () => {
    const files = [0, 0, 0, 5, 5].map((step, time) => ({
      path: `${time}`,
      key: "k",
      step,
      time,
      kind: "image" as const,
    }));
    const texts = files.map((_, place) => placeText(files, place));
    expect(texts).toEqual(["0+0", "0+1", "0", "5+0", "5"]);
    expect(texts.map((text) => placeOf(files, text))).toEqual([0, 1, 2, 3, 4]);
    expect([undefined, "3", "9", "0+9", "x"].map((text) => placeOf(files, text))).toEqual([4, 2, 4, 2, 4]);
  });

  it("keeps the whole image of two, in the order of steps", () => {
    const found = mediaByKey([
      "images/a%step%10%timestamp%2%u.png",
      "images/a%step%2%timestamp%1%u%compressed.webp",
      "images/a%step%2%timestamp%1%u.png",
    ]);
    expect(found.get("a")?.map((file) => file.path.split("%").at(-1))).toEqual(["u.png", "u.png"]);
    expect(found.get("a")?.map((file) => file.step)).toEqual([2, 10]);
  });
});

describe("the answer of runs/compare", () => {
  it("becomes runs that have what they logged, and nothing that they did not", () => {
    const { runs, missing } = comparedOf({
      cursor: 7,
      missing: ["c"],
      run_ids: ["a", "b"],
      names: ["one", ""],
      experiment_ids: ["1", "2"],
      statuses: ["FINISHED", "RUNNING"],
      start_times: [5, 6],
      end_times: [9, null],
      params: { lr: ["1e-3", null] },
      metrics: { loss: ["NaN", 0.5] },
      datasets: [[], [{ name: "digits", digest: "d", source_type: "local" }]],
    });

    expect(missing).toEqual(["c"]);
    expect(runs.map((run) => [run.id, run.name, run.experiment, run.start, run.end])).toEqual([
      ["a", "one", "1", 5, 9],
      ["b", "b", "2", 6, undefined],
    ]);
    expect(runs.map((run) => [...run.params])).toEqual([[["lr", "1e-3"]], []]);
    expect(runs.map((run) => run.metrics.get("loss"))).toEqual(["NaN", "0.5"]);
    expect(runs[1]?.datasets[0]?.context).toBe("");
  });
});

describe("media of runs under one step", () => {
  const files = [2, 5, 5, 9].flatMap((step, at) =>
    [...mediaByKey([`images/a%step%${step}%timestamp%${at}%x.png`]).values()].flat(),
  );
  it("are those of the last step up to it", () => {
    expect(stepsOf([files, files.slice(0, 1)])).toEqual([2, 5, 9]);
    expect([1, 2, 4, 7, 100].map((step) => upTo(files, step)?.time)).toEqual([undefined, 0, 0, 2, 3]);
  });
});

describe("histograms", () => {
  const drawn = (field: ReturnType<typeof fieldOf>) => {
    const pen = new SvgPen(400, 300);
    const inks = { back: "#fff", text: "#000", quiet: "#444", line: "#ccc", accent: "#06c" };
    const hits = paintHistogram({ pen, width: 400, height: 300, inks, lit: undefined }, field);
    const texts = [...pen.document().matchAll(/<text x="([\d.]+)".*?text-anchor="middle".*?>(.*?)<\/text>/g)];
    return { hits, places: new Map(texts.map((each) => [each[2], Number(each[1])])) };
  };

  it("have their bars where the axis says", () => {
    const { hits, places } = drawn(fieldOf("metrics.loss", ["0", "1", "9", "10"]));
    const wide = (hits[1]?.x ?? 0) - (hits[0]?.x ?? 0);
    expect(places.get("0")).toBeCloseTo((hits[0]?.x ?? 0) - wide / 2, -0.5);
    expect(places.get("10")).toBeCloseTo((hits.at(-1)?.x ?? 0) + wide / 2, -0.5);
    expect(hits.map((hit) => hit.text)).toEqual([
      "2 runs from 0 to 2.5",
      "0 runs from 2.5 to 5",
      "0 runs from 5 to 7.5",
      "2 runs from 7.5 to 10",
    ]);
  });

  it("of names have each name below its bar", () => {
    const { hits, places } = drawn(fieldOf("params.model", ["a", "b", "c", "c"]));
    for (const [at, name] of ["a", "b", "c"].entries())
      expect(places.get(name)).toBeCloseTo(hits[at]?.x ?? 0, -0.5);
    expect(hits.at(-1)?.text).toBe("2 runs: c");
  });
});
