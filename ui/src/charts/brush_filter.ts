/** What a brush of parallel coordinates keeps, in the language of the filter. */

import type { Brush } from "../compare/state";
import { quotedValue, written } from "../lib/filter_language";
import { fieldNamed } from "../runs/columns";
import type { Field } from "./small/values";

/** The language has no OR, and texts are not ordered: values outside are excluded one by one, while they are few. */
const MOST_VALUES = 8;
const MOST_RUNS = 100;

/** Whether a run is within all brushes; `at` is its place in the fields. */
export const isWithin = (brushes: readonly Brush[], fields: readonly Field[], at: number): boolean =>
  brushes.every((brush) => {
    const value = fields.find((field) => field.name === brush.name)?.numbers[at];
    return value === undefined || (value >= brush.from && value <= brush.to);
  });

/** The filter that finds those within; `undefined` where the language cannot say it. */
export function filterOfBrushes(
  filter: string,
  brushes: readonly Brush[],
  fields: readonly Field[],
  ids: readonly string[],
): string | undefined {
  const clauses: string[] = [];
  for (const brush of brushes) {
    const field = fields.find((each) => each.name === brush.name);
    if (!field) continue;
    const found = clausesOf(brush, field);
    if (!found) {
      const within = ids.filter((_, at) => isWithin(brushes, fields, at));
      if (within.length === 0 || within.length > MOST_RUNS) return undefined;
      return joined(filter, [`attributes.run_id IN (${within.map((id) => `'${id}'`).join(", ")})`]);
    }
    clauses.push(...found);
  }
  return joined(filter, clauses);
}

const joined = (filter: string, clauses: readonly string[]) =>
  [filter, ...clauses].filter((part) => part.trim()).join(" AND ");

function clausesOf(brush: Brush, field: Field): string[] | undefined {
  const named = fieldNamed(field.name);
  if (!named) return undefined;
  const place = written(named.entity, named.key);
  if (named.entity === "metrics") return [`${place} >= ${brush.from}`, `${place} <= ${brush.to}`];
  const inside = new Set<string>();
  const outside = new Set<string>();
  field.texts.forEach((text, at) => {
    const value = field.numbers[at] as number;
    if (text !== undefined) (value >= brush.from && value <= brush.to ? inside : outside).add(text);
  });
  const isSayable = (values: ReadonlySet<string>) =>
    [...values].every((text) => !(text.includes("'") && text.includes('"')));
  if (inside.size === 1 && isSayable(inside))
    return [...inside].map((text) => `${place} = ${quotedValue(text)}`);
  if (inside.size && outside.size <= MOST_VALUES && isSayable(outside))
    return [...outside].map((text) => `${place} != ${quotedValue(text)}`);
  return undefined;
}
