/** The columns of a runs table: how they are named in the address and to the server, and what is in a cell. */

import { written } from "../lib/filter_language";

/** Which of a metric's values a column shows; `curve` is all of them, drawn. */
export const AGGREGATES = ["last", "min", "max", "first", "count", "curve"] as const;
export type Aggregate = (typeof AGGREGATES)[number] | "step";
/** Keys of metrics have no `=`, so none is mistaken for it. */
const AT_STEP = /:step=(-?\d{1,19})$/;

export interface Field {
  readonly entity: "metrics" | "params" | "tags" | "attributes";
  readonly key: string;
  readonly aggregate: Aggregate;
  /** With `step`: which. */
  readonly step?: number;
}

/** `metrics.val/loss:min`, as the server and the address have it. */
export function nameOf(field: Field): string {
  const plain = `${field.entity}.${isMistaken(field) ? `\`${field.key}\`` : field.key}`;
  if (field.aggregate === "step") return `${plain}:step=${field.step ?? 0}`;
  return field.aggregate === "last" ? plain : `${plain}:${field.aggregate}`;
}

/** Whether a name would be read as a quoted one, or as one with what is wanted of its points. */
function isMistaken({ entity, key }: Field): boolean {
  return /^[`"]/.test(key) || (entity === "metrics" && AGGREGATES.some((each) => key.endsWith(`:${each}`)));
}

export function fieldNamed(name: string): Field | undefined {
  const dot = name.indexOf(".");
  const entity = name.slice(0, dot);
  if (!["metrics", "params", "tags", "attributes"].includes(entity)) return undefined;
  let key = name.slice(dot + 1);
  const at = entity === "metrics" ? AT_STEP.exec(key) : null;
  if (at && at.index > 0) {
    key = key.slice(0, at.index);
    const quoted = /^([`"])(.+)\1$/s.exec(key);
    return {
      entity: "metrics",
      key: quoted ? (quoted[2] as string) : key,
      aggregate: "step",
      step: Number(at[1]),
    };
  }
  const aggregate =
    (entity === "metrics" &&
      AGGREGATES.find((each) => key.endsWith(`:${each}`) && key.length > each.length + 1)) ||
    "last";
  if (aggregate !== "last" || (entity === "metrics" && key.endsWith(":last")))
    key = key.slice(0, -aggregate.length - 1);
  // as the server writes names that would be mistaken
  const quoted = /^([`"])(.+)\1$/s.exec(key);
  if (quoted) key = quoted[2] as string;
  return { entity: entity as Field["entity"], key, aggregate };
}

/** Curves are read by themselves (`charts/sparks.tsx`), so the server's table knows no such columns. */
export const isCurve = (name: string) => fieldNamed(name)?.aggregate === "curve";

/** What a head shows: the key alone, as its kind is seen by its group. */
export function titleOf(field: Field): string {
  const name = ATTRIBUTE_TITLES[field.key] ?? field.key;
  const plain = field.entity === "attributes" ? name : field.key;
  if (field.aggregate === "step") return `${plain} (step ${field.step ?? 0})`;
  return field.aggregate === "last" ? plain : `${plain} (${field.aggregate})`;
}

const ATTRIBUTE_TITLES: Readonly<Record<string, string>> = {
  start_time: "Started",
  end_time: "Ended",
  user_id: "User",
  status: "Status",
  run_id: "Run id",
  duration: "Duration",
};

/** As in `order_by` of `runs/table`. */
export function orderTerm(name: string, isDescending: boolean): string | undefined {
  const field = fieldNamed(name);
  if (!field || field.aggregate === "curve") return undefined;
  const way = isDescending ? "DESC" : "ASC";
  return `${field.aggregate === "last" ? written(field.entity, field.key) : nameOf(field)} ${way}`;
}

/** A list of names in the address; names may hold commas. */
export function listToText(names: readonly string[]): string {
  return names.map((name) => name.replace(/[\\,]/g, "\\$&")).join(",");
}

export function listFromText(text: string): string[] {
  const names: string[] = [];
  let name = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") name += text[++at] ?? "";
    else if (text[at] === ",") {
      names.push(name);
      name = "";
    } else name += text[at];
  }
  if (name) names.push(name);
  return names;
}
