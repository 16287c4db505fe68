/** What of a comparison is in the address, beside the settings of its charts. */

import { query, setQuery } from "../app/router";
import { listFromText, listToText } from "../runs/columns";

export interface CompareState {
  readonly runs: readonly string[];
  /** The run that the others are measured by. */
  readonly base: string | undefined;
  readonly sort: { readonly name: string; readonly isDescending: boolean } | undefined;
  readonly axes: readonly string[] | undefined;
  readonly brushes: readonly Brush[];
  readonly scatter: readonly string[];
  readonly target: string | undefined;
  readonly relation: Relation;
}

export interface Brush {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export const RELATIONS = ["scatter", "contour", "importance", "bars", "histogram"] as const;
export type Relation = (typeof RELATIONS)[number];

export function readCompare(): CompareState {
  const params = query.value;
  const sort = params.get("order");
  const axes = params.get("axes");
  const relation = params.get("show") as Relation;
  return {
    runs: listFromText(params.get("runs") ?? ""),
    base: params.get("base") ?? undefined,
    sort: sort ? { name: sort.replace(/^-/, ""), isDescending: sort.startsWith("-") } : undefined,
    axes: axes === null ? undefined : listFromText(axes),
    brushes: listFromText(params.get("brush") ?? "").flatMap((text) => {
      const at = text.lastIndexOf("=");
      const [from, to] = text
        .slice(at + 1)
        .split("~")
        .map(Number) as [number, number | undefined];
      return at > 0 && to !== undefined && Number.isFinite(from + to)
        ? [{ name: text.slice(0, at), from, to }]
        : [];
    }),
    scatter: listFromText(params.get("fields") ?? ""),
    target: params.get("target") ?? undefined,
    relation: RELATIONS.includes(relation) ? relation : "scatter",
  };
}

export const keepRuns = (ids: readonly string[]) => setQuery({ runs: listToText(ids) }, {});
export const keepBase = (id: string | undefined) => setQuery({ base: id ?? null });
export const keepOrder = (name: string | undefined, isDescending: boolean) =>
  setQuery({ order: name === undefined ? null : (isDescending ? "-" : "") + name });
export const keepAxes = (names: readonly string[]) => setQuery({ axes: listToText(names) || "," });
export const keepBrushes = (brushes: readonly Brush[]) =>
  setQuery({ brush: listToText(brushes.map(({ name, from, to }) => `${name}=${from}~${to}`)) });
export const keepScatter = (names: readonly string[]) => setQuery({ fields: listToText(names) });
export const keepTarget = (name: string) => setQuery({ target: name });
export const keepRelation = (relation: Relation) =>
  setQuery({ show: relation === "scatter" ? null : relation });
