/** A run as its page needs it, of one answer. */

import { mlflow, own } from "../api/request";
import type {
  BranchMessage,
  KeyValue,
  LoggedModelMessage,
  ModelVersionMessage,
  ParamVersion,
  RelatedRun,
  RunMessage,
  RunOverviewResponse,
} from "../api/schema";
import { type ApiNumber, toNumber } from "../lib/format";

export interface Metric {
  readonly key: string;
  readonly last: number;
  readonly step: number;
  readonly time: number;
}

export interface Extremes {
  readonly least: number | undefined;
  readonly most: number | undefined;
}

export interface RunFacts {
  readonly id: string;
  readonly experiment: string;
  readonly experimentName: string;
  readonly name: string;
  readonly status: string;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly isDeleted: boolean;
  readonly tags: ReadonlyMap<string, string>;
  readonly params: readonly KeyValue[];
  readonly metrics: readonly Metric[];
  /** Of those metrics that they were asked for. */
  readonly extremes: ReadonlyMap<string, Extremes>;
  /** When it gave its last sign of life. */
  readonly beat: number | undefined;
  readonly parent: RelatedRun | undefined;
  /** The newest of the runs below it. */
  readonly children: readonly RelatedRun[];
  readonly childCount: number;
  readonly models: readonly LoggedModelMessage[];
  readonly versions: readonly ModelVersionMessage[];
  /** All values of params that had others before. */
  readonly changedParams: readonly ParamVersion[];
  readonly branches: readonly BranchMessage[];
  /** The last of what it printed; `undefined` where the server knows nothing of it. */
  readonly console: ConsoleEnd | undefined;
  readonly raw: RunMessage;
}

export interface ConsoleEnd {
  readonly text: string;
  readonly isAll: boolean;
  /** Where what follows begins. */
  readonly next: number;
}

/** `extremes`: of how many metrics the least and the largest value are wanted; they cost a look at all points. */
export async function readRun(id: string, extremes: number, abort?: AbortSignal): Promise<RunFacts> {
  const found = await own.get<RunOverviewResponse>("runs/overview", { run_id: id, extremes }, abort);
  const { run, console } = found;
  const order = new Intl.Collator("en", { numeric: true });
  return {
    id: run.info.run_id,
    experiment: run.info.experiment_id,
    experimentName: found.experiment_name,
    name: run.info.run_name ?? "",
    status: run.info.status,
    start: given(run.info.start_time),
    end: given(run.info.end_time),
    isDeleted: run.info.lifecycle_stage === "deleted",
    tags: new Map((run.data.tags ?? []).map((tag) => [tag.key, tag.value ?? ""])),
    params: [...(run.data.params ?? [])].sort((a, b) => order.compare(a.key, b.key)),
    metrics: (run.data.metrics ?? [])
      .map((metric) => ({
        key: metric.key,
        last: toNumber(metric.value as ApiNumber) ?? Number.NaN,
        step: Number(metric.step ?? 0),
        time: Number(metric.timestamp),
      }))
      .sort((a, b) => order.compare(a.key, b.key)),
    extremes: new Map(
      Object.entries(found.extremes ?? {}).map(([key, [least, most]]) => [
        key,
        { least: toNumber(least as ApiNumber), most: toNumber(most as ApiNumber) },
      ]),
    ),
    beat: found.beat_time ?? undefined,
    parent: found.parent ?? undefined,
    children: found.children ?? [],
    childCount: found.child_count ?? 0,
    models: found.logged_models ?? [],
    versions: found.model_versions ?? [],
    changedParams: found.changed_params ?? [],
    branches: found.branches ?? [],
    console: console ? { text: console.text, isAll: console.is_all, next: console.next ?? 0 } : undefined,
    raw: run,
  };
}

/** With the least and largest values known before, and what was logged last. */
export function withExtremes(run: RunFacts, before: RunFacts["extremes"]): RunFacts {
  const extremes = new Map<string, Extremes>();
  for (const { key, last } of run.metrics) {
    const known = before.get(key);
    if (known)
      extremes.set(
        key,
        Number.isNaN(last)
          ? known
          : { least: Math.min(known.least ?? last, last), most: Math.max(known.most ?? last, last) },
      );
  }
  return { ...run, extremes };
}

/** A time that may come as text, as large numbers do, or as 0 for none. */
function given(time: unknown): number | undefined {
  const value = Number(time ?? 0);
  return value > 0 ? value : undefined;
}

export const isSystem = (key: string) => key.startsWith("system/");

/** Tags that people set; the others say what was captured, and are shown where they belong. */
export const isOwnTag = (key: string) => !key.startsWith("mlflow.") && !key.startsWith("slipstream.");

export const NOTE = "mlflow.note.content";

/** Set a tag, or remove it where there is no value. */
export async function putTag(run: string, key: string, value: string | undefined): Promise<void> {
  if (value === undefined) await mlflow.post("runs/delete-tag", { run_id: run, key });
  else await mlflow.post("runs/set-tag", { run_id: run, key, value });
}
