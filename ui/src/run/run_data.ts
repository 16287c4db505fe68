/** A run as its page needs it. */

import { mlflow } from "../api/request";
import type { GetRunResponse, KeyValue, RunMessage } from "../api/schema";
import { type ApiNumber, toNumber } from "../lib/format";

export interface Metric {
  readonly key: string;
  readonly last: number;
  readonly step: number;
  readonly time: number;
}

export interface RunFacts {
  readonly id: string;
  readonly experiment: string;
  readonly name: string;
  readonly status: string;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly isDeleted: boolean;
  readonly tags: ReadonlyMap<string, string>;
  readonly params: readonly KeyValue[];
  readonly metrics: readonly Metric[];
  readonly raw: RunMessage;
}

export async function readRun(id: string, abort?: AbortSignal): Promise<RunFacts> {
  const { run } = await mlflow.get<GetRunResponse>("runs/get", { run_id: id }, abort);
  const order = new Intl.Collator("en", { numeric: true });
  return {
    id: run.info.run_id,
    experiment: run.info.experiment_id,
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
    raw: run,
  };
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
