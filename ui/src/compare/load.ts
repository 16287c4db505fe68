/** The runs that are compared, with all they logged. */

import { ApiError, mlflow, own } from "../api/request";
import type { CompareRunsResponse, GetRunResponse, RunMessage } from "../api/schema";
import { eachOf } from "./some_at_a_time";

export const MOST_RUNS = 100;

export interface ComparedRun {
  readonly id: string;
  readonly name: string;
  readonly experiment: string;
  readonly status: string;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly user: string;
  readonly params: ReadonlyMap<string, string>;
  readonly metrics: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  readonly datasets: readonly ComparedDataset[];
}

export interface ComparedDataset {
  readonly name: string;
  readonly digest: string;
  readonly context: string;
  readonly source: string;
}

export interface Compared {
  readonly runs: readonly ComparedRun[];
  /** Ids that no run has. */
  readonly missing: readonly string[];
  /** Ids of runs that may not be read by who looks. */
  readonly closed: readonly string[];
}

/** All in one request; where one of them may not be read, each alone, so that the others are shown. */
export async function loadRuns(ids: readonly string[], abort: AbortSignal): Promise<Compared> {
  const wanted = [...new Set(ids)].slice(0, MOST_RUNS);
  if (wanted.length > 1)
    try {
      return comparedOf(await own.post<CompareRunsResponse>("runs/compare", { run_ids: wanted }, abort));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 403)) throw error;
    }
  const found = await eachOf(wanted, (id) => readOne(id, abort));
  const idsThat = (what: "missing" | "closed") => wanted.filter((_, at) => found[at] === what);
  return {
    runs: found.flatMap((run) => (typeof run === "string" ? [] : [comparedFrom(run)])),
    missing: idsThat("missing"),
    closed: idsThat("closed"),
  };
}

async function readOne(run_id: string, abort: AbortSignal): Promise<RunMessage | "missing" | "closed"> {
  try {
    return (await mlflow.get<GetRunResponse>("runs/get", { run_id }, abort)).run;
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 403) return "closed";
    if (status === 404 || status === 400) return "missing";
    throw error;
  }
}

/** The columns of the answer as runs. */
export function comparedOf(answer: CompareRunsResponse): Compared {
  const ids = answer.run_ids ?? [];
  const rowsOf = (columns: Record<string, readonly (string | number | null)[]> | undefined) => {
    const rows = ids.map(() => new Map<string, string>());
    for (const [key, values] of Object.entries(columns ?? {}))
      values.forEach((value, at) => {
        if (value !== null) rows[at]?.set(key, String(value));
      });
    return rows;
  };
  const params = rowsOf(answer.params);
  const metrics = rowsOf(answer.metrics);
  const tags = rowsOf(answer.tags);
  const runs = ids.map(
    (id, at): ComparedRun => ({
      id,
      name: answer.names?.[at] || id.slice(0, 8),
      experiment: answer.experiment_ids?.[at] ?? "",
      status: answer.statuses?.[at] ?? "",
      start: answer.start_times?.[at],
      end: answer.end_times?.[at] || undefined,
      user: answer.user_ids?.[at] ?? "",
      params: params[at] as Map<string, string>,
      metrics: metrics[at] as Map<string, string>,
      tags: tags[at] as Map<string, string>,
      datasets: (answer.datasets?.[at] ?? []).map((data) => ({
        name: data.name,
        digest: data.digest,
        source: data.source_type,
        context: data.context ?? "",
      })),
    }),
  );
  return { runs, missing: answer.missing ?? [], closed: [] };
}

function comparedFrom({ info, data, inputs }: RunMessage): ComparedRun {
  const pairs = (all: readonly { key: string; value?: unknown }[] | undefined) =>
    new Map((all ?? []).map((each) => [each.key, String(each.value ?? "")]));
  return {
    id: info.run_id,
    name: info.run_name || info.run_id.slice(0, 8),
    experiment: info.experiment_id,
    status: info.status,
    start: info.start_time,
    end: info.end_time || undefined,
    user: info.user_id ?? "",
    params: pairs(data.params),
    metrics: pairs(data.metrics),
    tags: pairs(data.tags),
    datasets: (inputs?.dataset_inputs ?? []).map(({ dataset, tags }) => ({
      name: dataset.name,
      digest: dataset.digest,
      source: dataset.source_type,
      context: tags?.find((tag) => tag.key === "mlflow.data.context")?.value ?? "",
    })),
  };
}
