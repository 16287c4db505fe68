/** What is not the same in two versions. */

import { stringifyExact } from "../lib/exact_json";
import type { ModelCard, SchemaField } from "./messages";
import { typeText } from "./signature";

export interface Difference {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** By name, in order of the names; what both have alike is left out unless `all`. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  all = false,
): Difference[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a.localeCompare(b));
  return names
    .map((name) => ({ name, before: before.get(name), after: after.get(name) }))
    .filter((each) => all || each.before !== each.after);
}

export interface SchemaChange extends Difference {
  /** Whether requests that the version before took may now be refused, or answers read otherwise. */
  readonly isBreaking: boolean;
}

function described(
  fields: readonly SchemaField[] | null,
): Map<string, { text: string; isRequired: boolean }> {
  return new Map(
    (fields ?? []).map((field, index) => {
      const isRequired = field.required !== false && field.default === undefined;
      const preset = field.default === undefined ? "" : ` = ${stringifyExact(field.default)}`;
      return [
        field.name === undefined ? `${index + 1}` : String(field.name),
        { text: `${typeText(field)}${isRequired ? "" : preset || ", optional"}`, isRequired },
      ];
    }),
  );
}

/** Inputs and params break if one is new and required, or changes its type; outputs if one goes or changes. */
export function schemaChanges(
  before: readonly SchemaField[] | null,
  after: readonly SchemaField[] | null,
  part: "inputs" | "outputs" | "params",
  all = false,
): SchemaChange[] {
  const was = described(before);
  const is = described(after);
  const texts = (fields: typeof was) => new Map([...fields].map(([name, field]) => [name, field.text]));
  return differences(texts(was), texts(is), all).map((each) => {
    let isBreaking = false;
    if (before !== null && after !== null && each.before !== each.after) {
      if (each.before === undefined)
        isBreaking = part !== "outputs" && (is.get(each.name)?.isRequired ?? false);
      else if (each.after === undefined) isBreaking = part !== "inputs";
      else isBreaking = part === "params" ? each.before.split(" = ")[0] !== each.after.split(" = ")[0] : true;
    }
    return { ...each, isBreaking };
  });
}

/** Requirements by package: `numpy==1.26` is numpy. */
export function requirementsOf(lines: readonly string[]): Map<string, string> {
  return new Map(
    lines.map((line) => {
      const [, name = line] = /^([A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?)/.exec(line) ?? [];
      return [name.toLowerCase().replace(/[_.]/g, "-"), line.slice(name.length).trim() || "any"];
    }),
  );
}

export function filesOf(
  card: Pick<ModelCard, "files">,
  sizeText: (size: number) => string,
): Map<string, string> {
  return new Map(card.files.map((file) => [file.path, file.size === null ? "?" : sizeText(file.size)]));
}

/** How far a metric moved: as a difference, and as a share of what it was. */
export function change(
  before: number | undefined,
  after: number | undefined,
): { by: number; share: number | undefined } | undefined {
  if (before === undefined || after === undefined || !Number.isFinite(before) || !Number.isFinite(after))
    return undefined;
  return { by: after - before, share: before === 0 ? undefined : (after - before) / Math.abs(before) };
}
