import { describe, expect, it } from "vitest";
import { Rows } from "../src/grid/rows";
import { columnsInSight, rowsInSight } from "../src/grid/window";
import { fieldNamed, listFromText, listToText, nameOf } from "../src/runs/columns";

describe("what is in sight", () => {
  it("is a few rows of a hundred thousand", () => {
    const { first, end } = rowsInSight(28 * 50_000, 900, 28, 100_000);
    expect(first).toBeLessThanOrEqual(50_000);
    expect(end).toBeGreaterThanOrEqual(50_033);
    expect(end - first).toBeLessThan(60);
  });

  it("never goes beyond the last row", () => {
    expect(rowsInSight(1e9, 900, 28, 10)).toEqual({ first: 10, end: 10 });
    expect(rowsInSight(0, 900, 28, 0)).toEqual({ first: 0, end: 0 });
  });

  it("keeps pinned columns, and leaves the room of those left of the window", () => {
    const columns = Array.from({ length: 100 }, (_, index) => ({
      key: String(index),
      width: 100,
      pinned: index === 0,
    }));
    const sight = columnsInSight(columns, 5_000, 1_000);
    expect(sight.pinned.map((each) => each.column.key)).toEqual(["0"]);
    expect(sight.total).toBe(10_000);
    expect(100 + sight.before).toBe(sight.shown[0]?.left);
    expect(sight.shown.length).toBeLessThan(20);
  });
});

describe("rows read in blocks", () => {
  const asked: number[] = [];
  const rows = new Rows<number>(async (offset, limit) => {
    asked.push(offset);
    return {
      total: 1_000,
      rows: Array.from({ length: Math.min(limit, 1_000 - offset) }, (_, at) => offset + at),
    };
  }, 100);

  it("reads only where one looks, and what is near", async () => {
    rows.want(0, 40);
    await expect.poll(() => rows.total.value).toBe(1_000);
    expect(rows.get(39)).toBe(39);
    expect(rows.get(500)).toBeUndefined();
    rows.want(510, 550);
    await expect.poll(() => rows.get(510)).toBe(510);
    expect(asked).toEqual([0, 500, 400]);
  });

  it("reads the next block before one is there", async () => {
    rows.want(560, 599);
    await expect.poll(() => rows.get(600)).toBe(600);
  });

  it("keeps what is shown while it is read again", async () => {
    const before = asked.length;
    rows.want(510, 550);
    rows.refresh();
    expect(rows.get(510)).toBe(510);
    await expect.poll(() => asked.length).toBe(before + 1);
  });
});

describe("names of columns", () => {
  it.each(["metrics.val/loss", "metrics.a:min", "params.a,b\\c", "tags.x:y", "attributes.status"])(
    "%s comes back",
    (name) => {
      const field = fieldNamed(name);
      expect(field && nameOf(field)).toBe(name);
      expect(listFromText(listToText([name, "params.z"]))).toEqual([name, "params.z"]);
    },
  );
});

describe("rows that change while they are read", () => {
  it("are read again, as the answer may be of before the change", async () => {
    const answers: ((value: number) => void)[] = [];
    const rows = new Rows<number>(
      () => new Promise((resolve) => answers.push((value) => resolve({ total: 1, rows: [value] }))),
      100,
    );
    rows.want(0, 1);
    rows.refresh();
    rows.refresh();
    expect(answers).toHaveLength(1);
    answers[0]?.(1);
    await expect.poll(() => answers.length).toBe(2);
    answers[1]?.(2);
    await expect.poll(() => rows.get(0)).toBe(2);
    expect(answers).toHaveLength(2);
  });

  it("are shown and read again at once where something of them comes later", async () => {
    let parts = 2;
    const rows = new Rows<number>(async () => ({ total: 1, rows: [parts], isPart: parts-- > 0 }), 100);
    rows.want(0, 1);
    await expect.poll(() => rows.get(0)).toBe(0);
    expect(rows.version.value).toBe(3);
    expect(parts).toBe(-1);
  });

  it("and given up where nobody looks any more", async () => {
    const aborts: AbortSignal[] = [];
    const rows = new Rows<number>(async (offset, _, abort) => {
      aborts.push(abort);
      if (offset > 0) await new Promise(() => {});
      return { total: 250, rows: [offset] };
    }, 100);
    rows.want(0, 60);
    await expect.poll(() => rows.total.value).toBe(250);
    rows.want(0, 60);
    expect(aborts).toHaveLength(2);
    rows.refresh();
    expect(aborts[1]?.aborted).toBe(true);
  });
});

describe("names that could be mistaken", () => {
  it.each([
    [{ entity: "metrics", key: "loss:max", aggregate: "min" }, "metrics.`loss:max`:min"],
    [{ entity: "metrics", key: "loss:min", aggregate: "last" }, "metrics.`loss:min`"],
    [{ entity: "metrics", key: "a", aggregate: "count" }, "metrics.a:count"],
    [{ entity: "params", key: '"x', aggregate: "last" }, 'params.`"x`'],
    [{ entity: "params", key: "x:min", aggregate: "last" }, "params.x:min"],
  ] as const)("are written as the server reads them: %o", (field, name) => {
    expect(nameOf(field)).toBe(name);
    expect(fieldNamed(name)).toEqual(field);
  });

  it("lose one ending, not two", () => {
    expect(fieldNamed("metrics.loss:max:min")).toEqual({
      entity: "metrics",
      key: "loss:max",
      aggregate: "min",
    });
  });
});
