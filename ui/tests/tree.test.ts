import { describe, expect, test } from "vitest";
import { Rows } from "../src/grid/rows";
import { TreeRows } from "../src/grid/tree";

const settled = () => new Promise((done) => setTimeout(done, 0));

/** A tree over two levels that can be changed: what it shows is told as text, children after a dash. */
function treeOf(initial: readonly string[], children: Readonly<Record<string, readonly string[]>>) {
  const names = { now: initial };
  const rowsOf = (all: () => readonly string[]) =>
    new Rows<string>(async (offset, limit) => ({
      total: all().length,
      rows: all().slice(offset, offset + limit),
    }));
  const tree = new TreeRows(
    rowsOf(() => names.now),
    (parent: string) => rowsOf(() => children[parent] ?? []),
    (row) => row,
  );
  const shown = () =>
    Array.from({ length: tree.total.value ?? 0 }, (_, index) => {
      const row = tree.get(index);
      return row ? "-".repeat(row.depth) + row.row : "?";
    });
  return { names, tree, shown };
}

describe("a tree of rows", () => {
  test("children stand below their parent wherever it goes", async () => {
    const { names, tree, shown } = treeOf(["b", "a"], { a: ["a1", "a2"] });
    tree.want(0, 10);
    await settled();
    tree.toggle(1);
    await settled();
    expect(shown()).toEqual(["b", "a", "-a1", "-a2"]);

    names.now = ["d", "c", "b", "a"];
    tree.refresh();
    await settled();
    expect(shown()).toEqual(["d", "c", "b", "a", "-a1", "-a2"]);

    names.now = ["a", "d", "c", "b"];
    tree.refresh();
    await settled();
    expect(shown()).toEqual(["a", "-a1", "-a2", "d", "c", "b"]);
    tree.toggle(0);
    expect(shown()).toEqual(["a", "d", "c", "b"]);
  });

  test("children of a parent that is gone are not shown below another", async () => {
    const { names, tree, shown } = treeOf(["b", "a"], { b: ["b1"] });
    tree.want(0, 10);
    await settled();
    tree.toggle(0);
    await settled();
    expect(shown()).toEqual(["b", "-b1", "a"]);

    names.now = ["a"];
    tree.refresh();
    await settled();
    expect(shown()).toEqual(["a"]);
  });
});
