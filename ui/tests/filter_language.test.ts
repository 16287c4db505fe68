import { describe, expect, it } from "vitest";
import { expectedAt, fieldOf, parse, withClause, written } from "../src/lib/filter_language";

describe("reading a filter", () => {
  it("splits clauses as the server does", () => {
    const { clauses, fault } = parse(
      "metrics.\"val/loss\" < 1e-3 and params.`o'clock` LIKE '%x%' AND attributes.run_id NOT IN ('a', \"b\") tags.t IS NOT NULL",
    );
    expect(fault).toBeUndefined();
    expect(clauses).toEqual([
      { entity: "metrics", key: "val/loss", operator: "<", values: ["1e-3"] },
      { entity: "params", key: "o'clock", operator: "LIKE", values: ["%x%"] },
      { entity: "attributes", key: "run_id", operator: "NOT IN", values: ["a", "b"] },
      { entity: "tags", key: "t", operator: "IS NOT NULL", values: [] },
    ]);
  });

  it.each([
    ["metrics.a > 'x'", "'x'"],
    ["params.a = 5", "5"],
    ["params.a > '5'", ">"],
    ["cost.a = 1", "cost.a"],
    ["params.a = 'x' OR params.b = 'y'", "OR"],
    ["params.a = 'x", "'x"],
    ["tags.a IS 'x'", "'x'"],
    ["run_id IN ('a' 'b')", "'b'"],
    ["params.a IN ('x')", "IN"],
    ["params.a = 'x' AND", ""],
    ["metrics.a < 1 AND (metrics.b > 2)", "("],
  ])("marks what is wrong in %s", (text, marked) => {
    const { fault } = parse(text);
    expect(fault && text.slice(fault.from, fault.to)).toBe(marked);
  });

  it("knows every spelling of a field", () => {
    expect(fieldOf("parameters.lr")).toEqual({ entity: "params", key: "lr" });
    expect(fieldOf("run.status")).toEqual({ entity: "attributes", key: "status" });
    expect(fieldOf("status")).toEqual({ entity: "attributes", key: "status" });
  });
});

describe("writing a filter", () => {
  it.each([
    ["metrics", "loss", "metrics.loss"],
    ["metrics", "val/loss", "metrics.`val/loss`"],
    ["params", "a`b", 'params."a`b"'],
    ["tags", "like", "tags.`like`"],
    ["attributes", "status", "status"],
  ])("%s of %s is %s", (entity, key, text) => {
    expect(written(entity, key)).toBe(text);
    expect(parse(`${text} IS NULL`).clauses[0]?.key).toBe(key);
  });

  it("adds a clause that reads back as it was meant", () => {
    const text = withClause("metrics.a > 1", "params", "who's", "=", "o'neil");
    expect(parse(text).clauses[1]).toEqual({
      entity: "params",
      key: "who's",
      operator: "=",
      values: ["o'neil"],
    });
    const both = withClause("", "tags", "said", "=", `it's "so" \`it\``);
    expect(both).toBe('tags.said LIKE \'it_s "so" `it`\' AND tags.said LIKE "it\'s _so_ `it`"');
    expect(parse(both).fault).toBeUndefined();
    expect(withClause("", "metrics", "loss", "=", "0.5")).toBe("metrics.loss = 0.5");
  });
});

describe("what may come next", () => {
  it.each([
    ["", "key", ""],
    ["metrics.val/lo", "key", "metrics.val/lo"],
    ["metrics.a ", "operator", ""],
    ["metrics.a > ", "value", ""],
    ["metrics.a > 1 ", "and", ""],
    ["metrics.a > 1 AND pa", "key", "pa"],
    ["params.a = 'sg", "value", "'sg"],
    ["params.a LIKE 'x' ", "and", ""],
    ["params.a IS NULL ", "and", ""],
  ])("after %j it is a %s", (text, kind, typed) => {
    const expected = expectedAt(text, text.length);
    expect([expected.kind, expected.typed]).toEqual([kind, typed]);
  });

  it("replaces the whole word under the caret", () => {
    const text = "metrics.val/loss > 1";
    const { from, to } = expectedAt(text, 11);
    expect(text.slice(from, to)).toBe("metrics.val/loss");
  });
});
