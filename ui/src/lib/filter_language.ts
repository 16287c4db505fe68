/**
 * MLflow's filter language for runs, read in the browser: what is wrong is marked while it is typed, and what may come next is
 * offered. The server decides; this reads the same grammar (clauses joined by AND, one comparison each).
 */

export type TokenKind = "word" | "quoted" | "text" | "number" | "operator" | "sign" | "broken";

export interface Token {
  readonly kind: TokenKind;
  readonly from: number;
  readonly to: number;
  /** Without quotes. */
  readonly value: string;
}

export interface Clause {
  readonly entity: string;
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

export interface Fault {
  readonly message: string;
  readonly from: number;
  readonly to: number;
}

/** What may be written at the caret. */
export interface Expected {
  readonly kind: "key" | "operator" | "value" | "and";
  /** What a completion replaces. */
  readonly from: number;
  readonly to: number;
  /** What is there already. */
  readonly typed: string;
  readonly field?: { readonly entity: string; readonly key: string } | undefined;
}

const ENTITIES: Readonly<Record<string, string>> = {
  metric: "metrics",
  metrics: "metrics",
  param: "params",
  params: "params",
  parameter: "params",
  parameters: "params",
  tag: "tags",
  tags: "tags",
  attribute: "attributes",
  attributes: "attributes",
  attr: "attributes",
  run: "attributes",
  dataset: "datasets",
  datasets: "datasets",
};
const NUMERIC_ATTRIBUTES = new Set(["start_time", "end_time", "created", "Created"]);
export const ATTRIBUTES = [
  "run_name",
  "status",
  "start_time",
  "end_time",
  "user_id",
  "run_id",
  "artifact_uri",
] as const;
const COMPARISONS = ["=", "!=", ">", ">=", "<", "<="];
const OF_TEXT = ["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"];
const BARE = /^[A-Za-z_][\w.-]*$/;
const WORDS = new Set(["AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE", "BETWEEN"]);

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const push = (kind: TokenKind, to: number, value: string) => {
    tokens.push({ kind, from: at, to, value });
    at = to;
  };
  while (at < text.length) {
    const rest = text.slice(at);
    const blank = /^\s+/.exec(rest);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const operator = /^(!=|>=|<=|=|>|<)/.exec(rest);
    const number = /^-?\d+(\.\d+)?([eE][+-]?\d+)?(?![\w.])/.exec(rest);
    const identifier = /^[A-Za-z_][\w-]*(\.([\w-]+|`[^`]*`|"[^"]*"))*\.?/.exec(rest);
    if (operator) push("operator", at + operator[0].length, operator[0]);
    else if (number) push("number", at + number[0].length, number[0]);
    else if (identifier) push("word", at + identifier[0].length, identifier[0]);
    else if ("'\"`".includes(rest[0] as string)) {
      const end = text.indexOf(rest[0] as string, at + 1);
      const kind = rest[0] === "`" ? "quoted" : "text";
      if (end < 0) push("broken", text.length, rest);
      else push(kind, end + 1, text.slice(at + 1, end));
    } else if ("(),".includes(rest[0] as string)) push("sign", at + 1, rest[0] as string);
    else push("broken", at + 1, rest[0] as string);
  }
  return tokens;
}

/** Split `metrics."val/loss"` into what it names. */
export function fieldOf(identifier: string): { entity: string; key: string } | undefined {
  const dot = identifier.indexOf(".");
  if (dot < 0) return { entity: "attributes", key: identifier.replace(/^[`"]|[`"]$/g, "") };
  const entity = ENTITIES[identifier.slice(0, dot).toLowerCase()];
  if (!entity) return undefined;
  return { entity, key: identifier.slice(dot + 1).replace(/^[`"]|[`"]$/g, "") };
}

/** How a field is written in a filter. */
export function written(entity: string, key: string): string {
  const needsQuotes = !BARE.test(key) || WORDS.has(key.toUpperCase());
  const name = !needsQuotes ? key : key.includes("`") ? `"${key}"` : `\`${key}\``;
  return entity === "attributes" ? key : `${entity}.${name}`;
}

/** A text between quotes that it does not have; the language has no way to write one within the same ones. */
export function quotedValue(value: string): string {
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}

/** Whether a value has both kinds of quotes, so that neither can stand around it. */
export const hasBothQuotes = (value: string) => value.includes("'") && value.includes('"');

/**
 * The condition that a field is a text. `_` of LIKE is any character, so of a value with both kinds of quotes each of two patterns
 * leaves one kind open, and both together leave none.
 */
export function equals(name: string, value: string): string {
  if (!hasBothQuotes(value)) return `${name} = ${quotedValue(value)}`;
  return `${name} LIKE '${value.replaceAll("'", "_")}' AND ${name} LIKE "${value.replaceAll('"', "_")}"`;
}

/** Whether `equals` finds nothing else: `_` and `%` of the value itself are more than themselves to LIKE. */
export const isFoundExactly = (value: string) => !hasBothQuotes(value) || !/[%_]/.test(value);

/** What LIKE takes to look for a text anywhere; the language has no way to write a quote within quotes. */
export function anywhere(text: string): string {
  return `'%${text.replaceAll("'", "_")}%'`;
}

/** Whether values of a field are numbers. */
export function isNumeric(field: { entity: string; key: string }): boolean {
  return field.entity === "metrics" || (field.entity === "attributes" && NUMERIC_ATTRIBUTES.has(field.key));
}

export function operatorsOf(field: { entity: string; key: string }): readonly string[] {
  if (isNumeric(field)) return COMPARISONS;
  if (field.entity === "params" || field.entity === "tags") return OF_TEXT;
  if (field.entity === "datasets" || field.key === "run_id") return ["=", "!=", "LIKE", "ILIKE", "IN"];
  return ["=", "!=", "LIKE", "ILIKE"];
}

/** Read a filter; stops at the first fault. */
export function parse(text: string): { clauses: Clause[]; fault: Fault | undefined } {
  const tokens = tokenize(text);
  const clauses: Clause[] = [];
  let at = 0;
  const fault = (message: string, token: Token | undefined) => ({
    clauses,
    fault: { message, from: token?.from ?? text.length, to: token?.to ?? text.length },
  });
  while (at < tokens.length) {
    const name = tokens[at] as Token;
    if (isWord(name, "AND")) {
      at++;
      if (!tokens[at]) return fault("A condition is expected after AND.", undefined);
      continue;
    }
    if (name.kind === "broken")
      return fault("This quote is not closed, or the sign has no meaning here.", name);
    if (name.kind !== "word" && name.kind !== "quoted")
      return fault("A field is expected here, such as metrics.loss or params.lr.", name);
    if (isWord(name, "OR")) return fault("The language has no OR; use IN, or LIKE with %.", name);
    const field = fieldOf(name.value);
    if (!field) return fault("Fields begin with metrics, params, tags, attributes or datasets.", name);
    const operator = tokens[at + 1];
    if (!operator) return fault(`A comparison is expected after ${name.value}.`, undefined);
    const word = operator.value.toUpperCase();
    if (word === "IS") {
      const isNot = isWord(tokens[at + 2], "NOT");
      const end = at + (isNot ? 3 : 2);
      if (!isWord(tokens[end], "NULL")) return fault("IS goes with NULL or NOT NULL.", tokens[end]);
      clauses.push({ ...field, operator: isNot ? "IS NOT NULL" : "IS NULL", values: [] });
      at = end + 1;
      continue;
    }
    if (word === "IN" || (word === "NOT" && isWord(tokens[at + 2], "IN"))) {
      if (!operatorsOf(field).includes("IN"))
        return fault(`${name.value} can be compared by ${operatorsOf(field).join(", ")}.`, operator);
      let next = at + (word === "IN" ? 2 : 3);
      if (tokens[next]?.value !== "(") return fault("A list in parentheses is expected.", tokens[next]);
      const values: string[] = [];
      for (next++; tokens[next]?.kind === "text"; next++) {
        values.push((tokens[next] as Token).value);
        if (tokens[next + 1]?.value !== ",") {
          next++;
          break;
        }
        next++;
      }
      if (tokens[next]?.value !== ")" || !values.length)
        return fault("The list holds texts in quotes, separated by commas.", tokens[next]);
      clauses.push({ ...field, operator: word === "IN" ? "IN" : "NOT IN", values });
      at = next + 1;
      continue;
    }
    const isComparison = operator.kind === "operator" || word === "LIKE" || word === "ILIKE";
    if (!isComparison) return fault("A comparison is expected here, such as = or LIKE.", operator);
    if (!operatorsOf(field).includes(word))
      return fault(`${name.value} can be compared by ${operatorsOf(field).join(", ")}.`, operator);
    const value = tokens[at + 2];
    if (!value) return fault("A value is expected.", undefined);
    if (value.kind === "broken") return fault("This quote is not closed.", value);
    if (isNumeric(field) && value.kind !== "number")
      return fault("A number without quotes is expected.", value);
    if (!isNumeric(field) && value.kind !== "text") return fault("Texts are written in quotes.", value);
    clauses.push({ ...field, operator: word, values: [value.value] });
    at += 3;
  }
  return { clauses, fault: undefined };
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.value.toUpperCase() === word;
}

/** Tell what may be written at the caret. */
export function expectedAt(text: string, caret: number): Expected {
  // A key that needs quotes has none while it is typed: metrics.val/lo
  const open = /(?:^|\s)([A-Za-z]+\.[^\s`"'<>=!(),]*)$/.exec(text.slice(0, caret));
  const typedKey = open?.[1];
  if (typedKey && sinceAnd(tokenize(text.slice(0, caret - typedKey.length))).length === 0) {
    const rest = /^[^\s`"'<>=!(),]*/.exec(text.slice(caret))?.[0] ?? "";
    return { kind: "key", from: caret - typedKey.length, to: caret + rest.length, typed: typedKey };
  }
  const before = tokenize(text.slice(0, caret));
  const last = before.at(-1);
  const isInside =
    last !== undefined && last.to === caret && last.kind !== "operator" && last.kind !== "sign";
  const done = isInside ? before.slice(0, -1) : before;
  const typed = isInside ? (last as Token) : undefined;
  let end = caret;
  if (typed) while (end < text.length && /[\w./-]/.test(text[end] as string)) end++;
  const span = { from: typed?.from ?? caret, to: end, typed: typed ? text.slice(typed.from, caret) : "" };
  const clause = sinceAnd(done);
  const name = clause[0];
  const field = name ? fieldOf(name.value) : undefined;
  if (!name) return { kind: "key", ...span };
  if (clause.length === 1) return { kind: "operator", ...span, field };
  const words = clause.slice(1).map((token) => token.value.toUpperCase());
  const isDone =
    words.at(-1) === "NULL" ||
    words.at(-1) === ")" ||
    (clause[1]?.kind === "operator" && clause.length >= 3) ||
    (["LIKE", "ILIKE"].includes(words[0] ?? "") && clause.length >= 3);
  if (isDone) return { kind: "and", ...span };
  if (words[0] === "IS") return { kind: "operator", ...span, field };
  return { kind: "value", ...span, field };
}

function sinceAnd(tokens: readonly Token[]): Token[] {
  const at = tokens.findLastIndex((token) => isWord(token, "AND"));
  return tokens.slice(at + 1);
}

/** A filter with one more clause; `operator` other than `=` takes no text with both kinds of quotes. */
export function withClause(
  filter: string,
  entity: string,
  key: string,
  operator: string,
  value: string,
): string {
  const name = written(entity, key);
  const isText = !isNumeric({ entity, key });
  const clause =
    isText && operator === "="
      ? equals(name, value)
      : `${name} ${operator} ${isText ? quotedValue(value) : value}`;
  return filter.trim() ? `${filter.trim()} AND ${clause}` : clause;
}

/** A filter that also wants a param or tag to be absent. */
export function withoutKey(filter: string, entity: string, key: string): string {
  const clause = `${written(entity, key)} IS NULL`;
  return filter.trim() ? `${filter.trim()} AND ${clause}` : clause;
}
