/** The runs that are compared, with all they logged. */

import { ApiError, mlflow } from "../api/request";
import type { GetRunResponse, RunMessage } from "../api/schema";

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
  /** Ids that no run has, or that may not be read. */
  readonly missing: readonly string[];
}

/** The first tells the experiment; one search then finds all of it. Those of other experiments are read one by one. */
export async function loadRuns(ids: readonly string[], abort: AbortSignal): Promise<Compared> {
  const wanted = [...new Set(ids)].slice(0, MOST_RUNS);
  const found = new Map<string, RunMessage>();
  let left = wanted;
  let isFirst = true;
  while (left.length) {
    const [id, ...others] = left as [string, ...string[]];
    const run = await readOne(id, abort);
    if (run) found.set(id, run);
    if (run && others.length && (isFirst || others.length > 2)) {
      const names = others.map((each) => `'${each.replaceAll("'", "")}'`).join(", ");
      const page = await mlflow.post<{ runs?: RunMessage[] }>(
        "runs/search",
        {
          experiment_ids: [run.info.experiment_id],
          filter: `attributes.run_id IN (${names})`,
          max_results: MOST_RUNS,
          run_view_type: "ALL",
        },
        abort,
      );
      for (const each of page.runs ?? []) found.set(each.info.run_id, each);
    }
    isFirst = false;
    left = others.filter((each) => !found.has(each));
  }
  return {
    runs: wanted.flatMap((id) => {
      const run = found.get(id);
      return run ? [comparedFrom(run)] : [];
    }),
    missing: wanted.filter((id) => !found.has(id)),
  };
}

async function readOne(run_id: string, abort: AbortSignal): Promise<RunMessage | undefined> {
  try {
    return (await mlflow.get<GetRunResponse>("runs/get", { run_id }, abort)).run;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 403 || error.status === 400))
      return undefined;
    throw error;
  }
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
