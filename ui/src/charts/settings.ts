/** How charts are drawn, as the address has it: the same for all charts of a page. */

import { query, setQuery } from "../app/router";
import { listFromText, listToText } from "../runs/columns";
import { BANDS, type BandKind, type Centre } from "./bands";
import type { ScaleKind } from "./scale";

export const X_KINDS = ["step", "time", "relative"] as const;
export type XKind = (typeof X_KINDS)[number];
export const SIZES = ["s", "m", "l"] as const;
export type Size = (typeof SIZES)[number];

export interface ChartSettings {
  /** What lies along x: one of the three, or the key of a metric. */
  readonly x: XKind | { readonly metric: string };
  readonly isLogX: boolean;
  readonly y: ScaleKind;
  /** From 0, which is none, to below 1. */
  readonly smoothing: number;
  readonly isClipped: boolean;
  readonly zoom: readonly [number, number] | undefined;
  readonly size: Size;
  readonly search: string;
  readonly order: "name" | "logged";
  readonly pinned: readonly string[];
  readonly hidden: readonly string[];
  /** How many runs are drawn, beside the pinned ones. */
  readonly most: number;
  /** Params and tags; runs with the same values are drawn as one. */
  readonly groupBy: readonly string[];
  readonly centre: Centre;
  readonly band: BandKind;
  /** Groups whose runs are drawn too. */
  readonly opened: readonly string[];
}

export const MOST_RUNS = [10, 20, 50, 100] as const;

export function readSettings(): ChartSettings {
  const params = query.value;
  const x = params.get("x") ?? "step";
  const y = params.get("y");
  const size = params.get("size");
  const most = Number(params.get("most"));
  return {
    x: isXKind(x) ? x : { metric: x.replace(/^metrics\./, "") },
    isLogX: params.get("logx") === "1",
    y: y === "log" || y === "symlog" ? y : "linear",
    smoothing: Math.min(0.999, Math.max(0, Number(params.get("smooth")) || 0)),
    isClipped: params.get("clip") === "1",
    zoom: zoomFrom(params.get("zoom")),
    size: size === "s" || size === "l" ? size : "m",
    search: params.get("find") ?? "",
    order: params.get("sort") === "logged" ? "logged" : "name",
    pinned: listFromText(params.get("pin") ?? ""),
    hidden: listFromText(params.get("hide") ?? ""),
    most: most >= 1 && most <= 100 ? Math.round(most) : 20,
    groupBy: listFromText(params.get("by") ?? ""),
    centre: params.get("line") === "median" ? "median" : "mean",
    band: bandFrom(params.get("band")),
    opened: listFromText(params.get("open") ?? ""),
  };
}

const bandFrom = (text: string | null): BandKind =>
  text !== null && Object.hasOwn(BANDS, text) ? (text as BandKind) : "minmax";

const isXKind = (text: string): text is XKind => (X_KINDS as readonly string[]).includes(text);

function zoomFrom(text: string | null): readonly [number, number] | undefined {
  if (!text) return undefined;
  const [from, to] = text.split("~").map(Number) as [number, number | undefined];
  return Number.isFinite(from) && to !== undefined && to > from ? [from, to] : undefined;
}

/** Times are of 13 digits. */
const tidy = (value: number) => String(Number(value.toPrecision(15)));

export const keepX = (x: string) => setQuery({ x: x === "step" ? null : x, zoom: null }, {});
export const keepLogX = (isLog: boolean) => setQuery({ logx: isLog ? "1" : null }, {});
export const keepY = (kind: ScaleKind) => setQuery({ y: kind === "linear" ? null : kind }, {});
export const keepSmoothing = (value: number) => setQuery({ smooth: value ? String(value) : null });
export const keepClipped = (isClipped: boolean) => setQuery({ clip: isClipped ? "1" : null }, {});
export const keepSize = (size: Size) => setQuery({ size: size === "m" ? null : size }, {});
export const keepSearch = (find: string) => setQuery({ find });
export const keepSort = (order: ChartSettings["order"]) =>
  setQuery({ sort: order === "name" ? null : order }, {});
export const keepPinned = (runs: readonly string[]) => setQuery({ pin: listToText(runs) });
export const keepHidden = (runs: readonly string[]) => setQuery({ hide: listToText(runs) });
export const keepMost = (most: number) => setQuery({ most: most === 20 ? null : String(most) }, {});
export const keepGroup = (by: readonly string[]) => setQuery({ by: listToText(by), open: null }, {});
export const keepCentre = (centre: Centre) => setQuery({ line: centre === "mean" ? null : centre }, {});
export const keepOpened = (groups: readonly string[]) => setQuery({ open: listToText(groups) });
export const keepBand = (band: BandKind) => setQuery({ band: band === "minmax" ? null : band }, {});

/** Zooming by keys and drags is one way back for Back, not one for each step. */
export function keepZoom(zoom: readonly [number, number] | undefined): void {
  const isNew = !query.value.has("zoom");
  setQuery({ zoom: zoom ? `${tidy(zoom[0])}~${tidy(zoom[1])}` : null }, { replace: !isNew });
}
