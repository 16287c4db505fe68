import { describe, expect, it } from "vitest";
import { isHigherBetter } from "../src/lib/better";
import { parseAnswer, parseExact, stringifyExact } from "../src/lib/exact_json";
import { shellQuote } from "../src/lib/shell_words";
import { ChatReader } from "../src/models/chat_stream";
import { samples, serveCommands } from "../src/models/code";
import { change, differences, requirementsOf, schemaChanges } from "../src/models/differences";

import type { SchemaField } from "../src/models/messages";
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

describe("odd streams of chat models", () => {
  const read = (chunks: readonly string[]) => {
    let text = "";
    const reader = new ChatReader((piece) => {
      text += piece;
    });
    for (const chunk of chunks) reader.push(chunk);
    return { ...reader.finish(), text };
  };
  const piece = (content: unknown) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
  const whole = `: a comment\n\nid: 7\n${piece("héllo 😀")}retry: 3\n\n${piece(" wörld")}data: [DONE]\n\n`;

  it.each([
    ["\n", "LF"],
    ["\r\n", "CRLF"],
    ["\r", "CR"],
  ])("are the same however they are cut (%#: %s)", (end) => {
    const text = whole.replaceAll("\n", end);
    for (let size = 1; size < 9; size++) {
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      expect(read(chunks)).toMatchObject({ text: "héllo 😀 wörld", isWhole: true });
    }
  });

  it("may say null where others say nothing", () => {
    const odd = [
      "null",
      '{"choices":null}',
      '{"choices":[null]}',
      '{"choices":[{"delta":null}],"usage":null}',
    ];
    const usage = '{"choices":[],"usage":{"prompt_tokens":null,"completion_tokens":null}}';
    const found = read(
      [...odd, usage].map((data) => `data: ${data}\n\n`).concat(piece("after"), "data: [DONE]\n\n"),
    );
    expect(found).toMatchObject({ text: "after", isWhole: true, completionTokens: undefined });
  });

  it("may have parts for texts", () =>
    expect(read([piece([{ type: "text", text: "one" }, { type: "image" }])]).text).toBe("one"));

  it("may be no streams", () => {
    const answer = { choices: [{ message: { content: "at once" } }], usage: { completion_tokens: 2 } };
    expect(read([JSON.stringify(answer)])).toMatchObject({
      text: "at once",
      isWhole: true,
      completionTokens: 2,
    });
    expect(() => read(['{"text":"<html>busy"}'])).toThrow("no answer of a chat: <html>busy");
  });

  it("say what went wrong in words", () => {
    expect(() => read(["event: error\ndata: out of memory\n\n"])).toThrow("out of memory");
    expect(() => read(['event: error\ndata: {"message":"no room"}\n\n'])).toThrow("no room");
    expect(() => read(['data: {"error":{"message":"too long"}}\n\n'])).toThrow("too long");
    expect(() => read(["data: <html>\n\n"])).toThrow("no piece of an answer: <html>");
  });

  it("of one long event are not searched again and again", () => {
    const long = piece("y".repeat(4_000_000));
    const began = performance.now();
    expect(read(long.match(/.{1,1000}/gs) ?? []).text).toHaveLength(4_000_000);
    expect(performance.now() - began).toBeLessThan(2000); // 0.1 s, and 30 s where each piece is joined to those before
  });
});

describe("odd signatures", () => {
  const card = (
    inputs: SchemaField[] | null,
    params: SchemaField[] | null = null,
    example: unknown = null,
  ) => ({
    inputs,
    params,
    task: null,
    example,
  });

  it("have names that every object has", () => {
    const form = formOf(
      card(
        [
          { name: "__proto__", type: "double", required: true },
          { name: "constructor", type: "string", required: false },
        ],
        [{ name: "toString", type: "long", default: 3 }],
      ),
    );
    const row = JSON.parse('{"__proto__":"2.5"}') as Record<string, string>;
    expect(JSON.stringify(requestOf(form, [row], {}))).toBe(
      '{"dataframe_split":{"columns":["__proto__"],"data":[[2.5]]},"params":{"toString":3}}',
    );
  });

  it("do not say false where nothing was said", () => {
    const form = formOf(
      card(
        [
          { name: "may", type: "boolean", required: false },
          { name: "must", type: "boolean", required: true },
        ],
        [{ name: "p", type: "boolean", default: null }],
      ),
    );
    expect(requestOf(form, [{}], {})).toEqual({ dataframe_split: { columns: ["must"], data: [[false]] } });
    expect(requestOf(form, [{ may: "true" }], { p: "false" })).toEqual({
      dataframe_split: { columns: ["may", "must"], data: [[true, false]] },
      params: { p: false },
    });
  });

  it("keep whole numbers of presets", () => {
    const said = parseExact(
      '{"inputs":[{"name":"id","type":"long"}],"params":[{"name":"seed","type":"long","default":9007199254740993}],"example":{"dataframe_split":{"columns":["id"],"data":[[9007199254740995]]}}}',
    ) as Parameters<typeof formOf>[0];
    const form = formOf({ ...said, task: null });
    expect(stringifyExact(requestOf(form, [{}], {}))).toBe(
      '{"dataframe_split":{"columns":["id"],"data":[[9007199254740995]]},"params":{"seed":9007199254740993}}',
    );
    expect(schemaChanges(null, said.params, "params")[0]?.after).toBe("long = 9007199254740993");
  });

  it("answer with what JSON has not", () => {
    expect(parseAnswer('{"predictions":[NaN,-Infinity,{"a":"NaN, \\" Infinity"},1]}')).toEqual({
      predictions: ["NaN", "-Infinity", { a: 'NaN, " Infinity' }, 1],
    });
    expect(() => parseAnswer("<html>")).toThrow(SyntaxError);
  });
});
