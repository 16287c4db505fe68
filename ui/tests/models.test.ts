import { describe, expect, it } from "vitest";
import { isHigherBetter } from "../src/lib/better";
import { shellQuote } from "../src/lib/shell_words";
import { ChatReader } from "../src/models/chat_stream";
import { samples, serveCommands } from "../src/models/code";
import { change, differences, requirementsOf, schemaChanges } from "../src/models/differences";

import { aliasMove, isMove, movesOf, stageMove } from "../src/models/moves";
import { filterOf } from "../src/models/search";
import { FieldFault, formOf, requestOf, typeText } from "../src/models/signature";
import { messagesOf } from "../src/models/talk";

const columns = [
  { type: "double", name: "a", required: true },
  { type: "string", name: "b", required: true },
  { type: "long", name: "n", required: false },
  { type: "array", items: { type: "float" }, name: "list", required: false },
];
const params = [{ name: "k", default: 2, shape: null, type: "long" }];
const card = { inputs: columns, params, task: null, example: null };

describe("a form made from a signature", () => {
  it("has an entry for each type", () => {
    expect(
      formOf(card).inputs.map((field) => [field.name, field.type, field.entry, field.isRequired]),
    ).toEqual([
      ["a", "double", "number", true],
      ["b", "string", "text", true],
      ["n", "long", "whole", false],
      ["list", "Array(float)", "json", false],
    ]);
  });

  it("is filled in from the example and the defaults", () => {
    const example = { dataframe_split: { columns: ["a", "b"], data: [[1.5, "x"]] }, params: { k: 7 } };
    const form = formOf({ ...card, example });
    expect(form.inputs.map((field) => field.preset)).toEqual(["1.5", "x", "", ""]);
    expect(form.params[0]?.preset).toBe("7");
    expect(formOf(card).params[0]?.preset).toBe("2");
    expect(formOf({ ...card, example: { dataframe_split: "nonsense", params: [] } }).inputs[0]?.preset).toBe(
      "",
    );
  });

  it("makes rows; a column that is empty everywhere is left out", () => {
    const rows = [
      { a: "1", b: "", list: "[1, 2]" },
      { a: "-2.5", b: "y" },
    ];
    expect(requestOf(formOf(card), rows, {})).toEqual({
      dataframe_split: {
        columns: ["a", "b", "list"],
        data: [
          [1, "", [1, 2]],
          [-2.5, "y", null],
        ],
      },
      params: { k: 2 },
    });
  });

  it.each([
    [{ b: "x" }, "a is missing"],
    [{ a: "one", b: "x" }, "a is 'one', which is no number"],
    [{ a: "Infinity", b: "x" }, "no number"],
    [{ a: "1", b: "x", n: "1.5" }, "whole number"],
    [{ a: "1", b: "x", list: "[1" }, "list is not JSON"],
  ])("tells which field is wrong: %j", (row, message) => {
    expect(() => requestOf(formOf(card), [row as Record<string, string>], {})).toThrow(FieldFault);
    expect(() => requestOf(formOf(card), [row as Record<string, string>], {})).toThrow(message);
  });

  it("takes tensors, named or one", () => {
    const tensor = { type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 2] } };
    const one = formOf({ ...card, inputs: [tensor], params: null });
    expect(one.layout).toBe("single");
    expect(requestOf(one, [{ "input 1": "[[1, 2]]" }], {})).toEqual({ inputs: [[1, 2]] });
    const two = formOf({
      ...card,
      params: null,
      inputs: [
        { ...tensor, name: "x" },
        { ...tensor, name: "y" },
      ],
    });
    expect(requestOf(two, [{ x: "[1]", y: "[2]" }], {})).toEqual({ inputs: { x: [1], y: [2] } });
  });

  it("is a chat for chat models, and free without a signature", () => {
    expect(formOf({ ...card, task: "llm/v1/chat" }).layout).toBe("chat");
    expect(formOf({ ...card, inputs: null }).layout).toBe("free");
  });

  it("names nested types", () => {
    const nested = {
      type: "object",
      properties: { a: { type: "string" }, b: { type: "map", values: { type: "long" }, required: false } },
    };
    expect(typeText(nested)).toBe("{a: string, b: Map(long)?}");
  });
});

describe("what differs in two versions", () => {
  it("is told by name", () => {
    const before = new Map([
      ["same", "1"],
      ["gone", "2"],
      ["other", "3"],
    ]);
    const after = new Map([
      ["same", "1"],
      ["new", "4"],
      ["other", "5"],
    ]);
    expect(differences(before, after).map((each) => each.name)).toEqual(["gone", "new", "other"]);
    expect(differences(before, after, true)).toHaveLength(4);
  });

  it("breaks callers where a required input is new or a type is another", () => {
    const breaking = (before: typeof columns, after: typeof columns, part: "inputs" | "outputs" | "params") =>
      schemaChanges(before, after, part)
        .filter((each) => each.isBreaking)
        .map((each) => each.name);
    const more = [...columns, { type: "double", name: "new", required: true }];
    const maybe = [...columns, { type: "double", name: "new", required: false }];
    expect(breaking(columns, more, "inputs")).toEqual(["new"]);
    expect(breaking(columns, maybe, "inputs")).toEqual([]);
    expect(breaking(more, columns, "inputs")).toEqual([]);
    expect(breaking(more, columns, "outputs")).toEqual(["new"]);
    expect(breaking(columns, more, "outputs")).toEqual([]);
    expect(
      breaking(
        columns,
        [{ ...columns[0], type: "string" } as (typeof columns)[0], ...columns.slice(1)],
        "inputs",
      ),
    ).toEqual(["a"]);
    expect(
      schemaChanges(params, [{ ...params[0], default: 3 } as (typeof params)[0]], "params")[0],
    ).toMatchObject({
      before: "long = 2",
      after: "long = 3",
      isBreaking: false,
    });
    expect(schemaChanges(null, columns, "inputs").some((each) => each.isBreaking)).toBe(false);
  });

  it("compares requirements by package", () => {
    expect([
      ...requirementsOf(["Numpy==1.26", "scikit_learn>=1", "torch", "uvicorn[standard]>=0.3"]),
    ]).toEqual([
      ["numpy", "==1.26"],
      ["scikit-learn", ">=1"],
      ["torch", "any"],
      ["uvicorn[standard]", ">=0.3"],
    ]);
  });

  it("tells how far a metric moved, and whether that is good", () => {
    expect(change(2, 3)).toEqual({ by: 1, share: 0.5 });
    expect(change(0, 3)?.share).toBeUndefined();
    expect(change(Number.NaN, 3)).toBeUndefined();
    expect(["val_loss", "rmse", "eval/latency_ms"].map(isHigherBetter)).toEqual([false, false, false]);
    expect(["val/acc", "f1", "r2", "roc_auc"].map(isHigherBetter)).toEqual([true, true, true, true]);
    expect(["epoch", "gloss", "classes"].map(isHigherBetter)).toEqual([undefined, undefined, undefined]);
  });
});

describe("why something was moved", () => {
  it("is kept in tags and read back", () => {
    const alias = aliasMove("my.champion", "1", 'because "so"', 1_700_000_000_000);
    const stage = stageMove("None", "Production", "", 1_700_000_000_001);
    expect(isMove(alias.key) && isMove(stage.key)).toBe(true);
    const moves = movesOf(new Map([alias, stage].map((each) => [each.key, each.value])));
    expect(moves.map(({ kind, name, from, reason, time }) => [kind, name, from, reason, time])).toEqual([
      ["stage", "Production", "None", "", 1_700_000_000_001],
      ["alias", "my.champion", "1", 'because "so"', 1_700_000_000_000],
    ]);
  });

  it("is left out where others wrote something else", () => {
    const others = new Map([
      ["slipstream.alias.x", "{}"],
      ["slipstream.alias.x.12", "no json"],
      ["slipstream.alias.x.13", "null"],
      ["slipstream.alias..14", "{}"],
      ["slipstream.stage.15", "{}"],
      ["mine", "x"],
    ]);
    expect(movesOf(others)).toEqual([]);
  });
});

describe("a stream of a chat model", () => {
  const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
  const piece = (content: string) => event({ choices: [{ delta: { content } }] });

  it("is read however it is cut", () => {
    const whole = `: hello\n\n${piece("Hé")}${piece("llo 🙂")}${event({
      choices: [{ delta: {}, finish_reason: "stop" }],
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    })}data: [DONE]\n\n`;
    for (let size = 1; size < 40; size++) {
      let text = "";
      const reader = new ChatReader((more) => {
        text += more;
      });
      for (let at = 0; at < whole.length; at += size) reader.push(whole.slice(at, at + size));
      expect(reader.finish()).toEqual({
        reason: "stop",
        promptTokens: 3,
        completionTokens: 2,
        isWhole: true,
      });
      expect(text).toBe("Héllo 🙂");
    }
  });

  it("tells what went wrong in the middle", () => {
    const reader = new ChatReader(() => {});
    reader.push(piece("a"));
    expect(() => reader.push(event({ error: { message: "out of memory" } }))).toThrow("out of memory");
  });
});

describe("code to copy", () => {
  it("cannot be left by a name", () => {
    expect(shellQuote("a'b; rm -rf /")).toBe(`'a'"'"'b; rm -rf /'`);
    const all = samples("http://host", `x"); import os #`, "1", undefined, formOf(card));
    expect(all[0]?.text).toContain('load_model("models:/x\\"); import os #/1")');
    expect(all[2]?.text).toContain('"columns":["a","b","n","list"]');
  });
});

describe("words that models are searched by", () => {
  it.each(["made in germany", "in", "like-new", "il like", "income"])("%s looks for a name", (text) => {
    expect(filterOf(text)).toBe(`name ILIKE '%${text}%'`);
  });

  it("an apostrophe is any sign, since the language has no way to write it", () => {
    expect(filterOf("bob's")).toBe("name ILIKE '%bob_s%'");
  });

  it.each(["tags.team = 'a'", "name LIKE 'x%'", 'name ilike "x"', "name IN ('a', 'b')"])(
    "%s is itself",
    (text) => {
      expect(filterOf(text)).toBe(text);
    },
  );
});

it("a model's name does nothing in a shell", () => {
  expect(serveCommands("a; rm -rf ~", "1")).toContain("-m 'models:/a; rm -rf ~/1' --port");
});

describe("a talk", () => {
  it("is sent by turns, whatever became of the answers", () => {
    const before = [
      { question: "one", answer: "first", note: "2 tokens" },
      { question: "lost", answer: "", failure: "away" },
      { question: "cut", answer: "a par", failure: "cut" },
      { question: "stopped at once", answer: "", note: "stopped" },
      { question: "stopped", answer: "half", note: "stopped" },
    ];
    const sent = messagesOf(" be brief ", before, "next");
    expect(sent.map((each) => each.role)).toEqual([
      "system",
      ...["user", "assistant", "user", "assistant", "user", "assistant", "user"],
    ]);
    expect(sent.map((each) => each.content)).toEqual([
      "be brief",
      ...["one", "first", "cut", "a par", "stopped", "half", "next"],
    ]);
    expect(messagesOf("", before.slice(1, 2), "next")).toEqual([{ role: "user", content: "next" }]);
  });

  it("knows an answer that was cut off", () => {
    const reader = new ChatReader(() => {});
    reader.push('data: {"choices":[{"delta":{"content":"a"}}]}\n\n');
    expect(reader.finish().isWhole).toBe(false);
    reader.push("data: [DONE]\n\n");
    expect(reader.finish().isWhole).toBe(true);
  });
});
