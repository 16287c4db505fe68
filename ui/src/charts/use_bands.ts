/** Means of groups of runs with a band around them, over all runs of the experiment that a filter finds. */

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, own } from "../api/request";
import { useLive } from "../app/live";
import { seriesFrom, type WireSeries } from "./envelope";
import type { Series } from "./series";
import type { XKind } from "./settings";

export interface BandsWanted {
  readonly experiment: string;
  readonly filter: string;
  readonly by: string;
  readonly key: string;
  readonly x: XKind;
  readonly band: "minmax" | "std";
  readonly zoom: readonly [number, number] | undefined;
  readonly width: number;
}

export interface Band {
  readonly value: string;
  readonly runs: number;
  readonly series: Series;
}

interface WireBand extends WireSeries {
  group?: (string | null)[];
  value?: string | null;
  runs: number;
}

const CALM_MS = 2000;

export function useBands(wanted: BandsWanted | undefined): {
  bands: Signal<readonly Band[] | undefined>;
  error: Signal<ApiError | undefined>;
} {
  const found = useMemo(
    () => ({
      bands: signal<readonly Band[] | undefined>(undefined),
      error: signal<ApiError | undefined>(undefined),
      read: () => {},
    }),
    [],
  );
  const key = JSON.stringify(wanted ?? null);
  useEffect(() => {
    if (!wanted || wanted.width <= 0) return;
    let abort = new AbortController();
    found.read = async () => {
      abort.abort();
      abort = new AbortController();
      const mine = abort;
      try {
        const bands = await readBands(wanted, mine.signal);
        if (!mine.signal.aborted) found.bands.value = bands;
        found.error.value = undefined;
      } catch (error) {
        if (!mine.signal.aborted && error instanceof ApiError) found.error.value = error;
      }
    };
    found.read();
    return () => abort.abort();
  }, [key]);
  const timer = useMemo(() => ({ id: undefined as ReturnType<typeof setTimeout> | undefined }), []);
  useLive({ experiments: wanted ? [wanted.experiment] : [] }, () => {
    if (timer.id !== undefined || !wanted) return;
    timer.id = setTimeout(() => {
      timer.id = undefined;
      found.read();
    }, CALM_MS);
  });
  useEffect(() => () => clearTimeout(timer.id), []);
  return found;
}

async function readBands(wanted: BandsWanted, abort: AbortSignal): Promise<Band[]> {
  const body: Record<string, unknown> = {
    experiment_ids: [wanted.experiment],
    filter: wanted.filter,
    by: [wanted.by],
    key: wanted.key,
    x: wanted.x,
    band: wanted.band,
    width: wanted.width,
  };
  if (wanted.zoom) [body.start, body.end] = wanted.zoom;
  const answer = await own.post<{ groups: WireBand[] }>("metrics/bands", body, abort);
  return answer.groups.map((group) => ({
    value: group.group?.[0] ?? group.value ?? "",
    runs: group.runs,
    series: seriesFrom({ ...group, raw: false, run_id: "", key: wanted.key }),
  }));
}
