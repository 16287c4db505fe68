/** The runs that are compared, with all they logged. */

import { ApiError, mlflow, own } from "../api/request";
import type { CompareRunsResponse, GetRunResponse, RunMessage } from "../api/schema";
import { type Compared, type ComparedRun, comparedOf } from "./compared";
import { eachOf } from "./some_at_a_time";

export const MOST_RUNS = 100;

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
