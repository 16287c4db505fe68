/** Signatures: read as fields that a form can have, and what is filled in made to a request. */

import { parseExact, stringifyExact, wholeFrom } from "../lib/exact_json";
import type { ModelCard, SchemaField } from "./messages";

/** How a field is filled in. */
export type Entry = "truth" | "whole" | "number" | "text" | "json";

export interface Field {
  readonly name: string;
  /** What the signature calls it: `double`, `Array(string)`, `Tensor(float32, [-1, 4])`. */
  readonly type: string;
  readonly entry: Entry;
  readonly isRequired: boolean;
  /** As text, for a form. */
  readonly preset: string;
}

/** How a model takes its inputs. */
export type Layout = "columns" | "tensors" | "single" | "chat" | "free";

export interface Form {
  readonly layout: Layout;
  readonly inputs: readonly Field[];
  readonly params: readonly Field[];
}

const WHOLE = new Set(["integer", "long"]);
const NUMBER = new Set(["float", "double"]);
const TEXT = new Set(["string", "datetime", "binary"]);
export const CHAT_TASK = "llm/v1/chat";
const DEEPEST = 20;

export function typeText(field: SchemaField, depth = 0): string {
  if (depth > DEEPEST) return "…";
  const tensor = field["tensor-spec"];
  if (tensor) return `Tensor(${tensor.dtype}, [${tensor.shape.join(", ")}])`;
  if (field.type === "array" && field.items) return `Array(${typeText(field.items, depth + 1)})`;
  if (field.type === "map" && field.values) return `Map(${typeText(field.values, depth + 1)})`;
  if (field.type === "object" && field.properties) {
    const parts = Object.entries(field.properties).map(
      ([name, each]) => `${name}: ${typeText(each, depth + 1)}${each.required === false ? "?" : ""}`,
    );
    return `{${parts.join(", ")}}`;
  }
  return `${field.type ?? "any"}${field.shape ? `[${field.shape.join(", ")}]` : ""}`;
}

function entryOf(field: SchemaField): Entry {
  const type = field.type ?? "";
  if (field["tensor-spec"] || field.shape) return "json";
  if (type === "boolean") return "truth";
  if (WHOLE.has(type)) return "whole";
  if (NUMBER.has(type)) return "number";
  return TEXT.has(type) ? "text" : "json";
}

function presetOf(value: unknown, entry: Entry): string {
  if (value === undefined || value === null) return "";
  return entry === "json" || typeof value === "object" ? stringifyExact(value) : String(value);
}

function fieldOf(
  field: SchemaField,
  index: number,
  preset: unknown,
  isRequired = field.required !== false,
): Field {
  const entry = entryOf(field);
  return {
    name: field.name === undefined ? `input ${index + 1}` : String(field.name),
    type: typeText(field),
    entry,
    isRequired,
    // what may be left out is not said unless somebody says it
    preset: presetOf(preset ?? (entry === "truth" && isRequired ? false : undefined), entry),
  };
}

/** The form of a version; what was logged as an example fills it in. */
export function formOf(card: Pick<ModelCard, "inputs" | "params" | "task" | "example">): Form {
  const example = exampleOf(card.example);
  const params = (card.params ?? []).map((each, index) => {
    const name = String(each.name);
    const given = Object.hasOwn(example.params, name) ? example.params[name] : undefined;
    return fieldOf(each, index, given ?? each.default, false);
  });
  const inputs = card.inputs ?? [];
  if (card.task === CHAT_TASK) return { layout: "chat", inputs: [], params };
  if (inputs.length === 0) return { layout: "free", inputs: [], params };
  if (inputs.some((each) => each["tensor-spec"])) {
    const isSingle = inputs.length === 1 && inputs[0]?.name === undefined;
    return {
      layout: isSingle ? "single" : "tensors",
      inputs: inputs.map((each, index) =>
        fieldOf(each, index, isSingle ? example.whole : example.columns.get(String(each.name))),
      ),
      params,
    };
  }
  const isUnnamed = inputs.length === 1 && inputs[0]?.name === undefined;
  return {
    layout: isUnnamed ? "single" : "columns",
    inputs: inputs.map((each, index) => {
      if (!isUnnamed) return fieldOf(each, index, example.columns.get(String(each.name)));
      // one unnamed column: a list of values
      const field = fieldOf(each, index, example.whole);
      return { ...field, entry: "json", type: `list of ${field.type}` };
    }),
    params,
  };
}

interface Example {
  /** The first value of each column, or the whole tensor of a name. */
  readonly columns: Map<string, unknown>;
  readonly whole: unknown;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Read the logged request; anything unexpected is as none. */
function exampleOf(example: unknown): Example {
  const nothing: Example = { columns: new Map(), whole: undefined, params: {} };
  if (typeof example !== "object" || example === null) return nothing;
  const said = example as Record<string, unknown>;
  const params = isRecord(said.params) ? said.params : {};
  const split = said.dataframe_split;
  if (isRecord(split) && Array.isArray(split.columns) && Array.isArray(split.data)) {
    const first: unknown = split.data[0];
    const values = Array.isArray(first) ? first : [];
    return {
      columns: new Map(split.columns.map((name, index) => [String(name), values[index]])),
      whole: undefined,
      params,
    };
  }
  const records = said.dataframe_records;
  if (Array.isArray(records) && isRecord(records[0]))
    return { columns: new Map(Object.entries(records[0])), whole: undefined, params };
  const inputs = said.inputs ?? said.instances;
  return {
    columns: new Map(isRecord(inputs) ? Object.entries(inputs) : []),
    whole: inputs,
    params,
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A field whose text cannot be sent. */
export class FieldFault extends Error {
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}

/** What a form's text means; `undefined` for an optional field that was left empty. */
export function valueIn(field: Field, text: string): unknown {
  if (text.trim() === "" && field.entry !== "text") {
    if (field.isRequired)
      throw new FieldFault(field.name, `${field.name} is missing: it needs a ${field.type}.`);
    return undefined;
  }
  if (field.entry === "truth") return text === "true";
  if (field.entry === "text") return text === "" && !field.isRequired ? undefined : text;
  if (field.entry === "json") {
    try {
      return parseExact(text);
    } catch (error) {
      throw new FieldFault(
        field.name,
        `${field.name} is not JSON: ${error instanceof Error ? error.message : error}.`,
      );
    }
  }
  const number = Number(text);
  if (!Number.isFinite(number))
    throw new FieldFault(field.name, `${field.name} is '${text}', which is no number.`);
  if (field.entry !== "whole") return number;
  const whole = wholeFrom(text);
  if (whole === undefined || whole < -(2n ** 63n) || whole >= 2n ** 63n)
    throw new FieldFault(
      field.name,
      `${field.name} is '${text}'; it must be a whole number from −2⁶³ to below 2⁶³, in digits.`,
    );
  return whole;
}

/** By the names of fields, which may be those of what every object has: read by `textIn` only. */
export type Texts = Readonly<Record<string, string>>;

export const textIn = (texts: Texts | undefined, field: Field): string =>
  texts && Object.hasOwn(texts, field.name) ? (texts[field.name] as string) : field.preset;

/** The body of a request to a scoring server, from the texts of each row and of the params. */
export function requestOf(form: Form, rows: readonly Texts[], params: Texts): Record<string, unknown> {
  const request: Record<string, unknown> = {};
  const text = textIn;
  if (form.layout === "columns") {
    // a column that is optional and empty in all rows is left out, or the model would be told of a null
    const parsed = rows.map((row) => form.inputs.map((field) => valueIn(field, text(row, field))));
    const kept = form.inputs.map((_, index) => parsed.some((row) => row[index] !== undefined));
    request.dataframe_split = {
      columns: form.inputs.filter((_, index) => kept[index]).map((field) => field.name),
      data: parsed.map((row) => row.filter((_, index) => kept[index]).map((value) => value ?? null)),
    };
  } else if (form.layout === "tensors") {
    const inputs = form.inputs.map((field) => [field.name, valueIn(field, text(rows[0], field))] as const);
    request.inputs = Object.fromEntries(inputs.filter(([, value]) => value !== undefined));
  } else if (form.layout === "single") {
    const [field] = form.inputs;
    if (field) request.inputs = valueIn(field, text(rows[0], field));
  }
  const given = form.params
    .map((field) => [field, valueIn(field, text(params, field))] as const)
    .filter(([field, value]) => value !== undefined && text(params, field) !== "")
    .map(([field, value]) => [field.name, value] as const);
  if (given.length) request.params = Object.fromEntries(given);
  return request;
}
