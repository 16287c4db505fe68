/** What the pages of models ask of the server and have it do. */

import { ApiError, mlflow, own } from "../api/request";
import type {
  RegisteredModelMessage,
  RegisteredModelResponse,
  SearchModelOverviewsResponse,
  SearchVersionOverviewsResponse,
} from "../api/schema";
import { parseExact } from "../lib/exact_json";
import type { ModelCard, ModelVersion, VersionRow } from "./messages";
import { aliasMove, stageMove } from "./moves";

export const readModels = (body: unknown, abort?: AbortSignal) =>
  own.post<SearchModelOverviewsResponse>("models/overview", body, abort);

export const readVersions = (body: unknown, abort?: AbortSignal) =>
  own.post<SearchVersionOverviewsResponse>("models/versions", body, abort);

export async function readModel(name: string, abort?: AbortSignal): Promise<RegisteredModelMessage> {
  const answer = await mlflow.get<RegisteredModelResponse>("registered-models/get", { name }, abort);
  return answer.registered_model;
}

/** One version with its run. */
export async function readVersion(name: string, version: string, abort?: AbortSignal): Promise<VersionRow> {
  const missing = new ApiError(`There is no version ${version} of ${name}.`, 404, "RESOURCE_DOES_NOT_EXIST");
  if (!/^\d{1,15}$/.test(version)) throw missing;
  const rows = await readVersions({ name, filter: `version_number = ${version}`, limit: 1 }, abort);
  const [found] = rows.versions;
  if (!found) throw missing;
  return { version: found.version, run: found.run ?? null };
}

export const readCard = (name: string, version: string, abort?: AbortSignal) =>
  own.get<ModelCard>("model-versions/card", { name, version }, abort, parseExact);

export const createModel = (name: string, description: string, tags: { key: string; value: string }[] = []) =>
  mlflow.post("registered-models/create", { name, description, tags });

export const renameModel = (name: string, to: string) =>
  mlflow.post("registered-models/rename", { name, new_name: to });

export const deleteModel = (name: string) => mlflow.send("DELETE", "registered-models/delete", { name });

export const describeModel = (name: string, description: string) =>
  mlflow.send("PATCH", "registered-models/update", { name, description });

export const describeVersion = (name: string, version: string, description: string) =>
  mlflow.send("PATCH", "model-versions/update", { name, version, description });

export const deleteVersion = (name: string, version: string) =>
  mlflow.send("DELETE", "model-versions/delete", { name, version });

/** Set a tag of a model, or of a version if one is given; `undefined` takes it away. */
export function putTag(
  name: string,
  version: string | undefined,
  key: string,
  value: string | undefined,
): Promise<unknown> {
  const where = version === undefined ? { name } : { name, version };
  const resource = version === undefined ? "registered-models" : "model-versions";
  return value === undefined
    ? mlflow.send("DELETE", `${resource}/delete-tag`, { ...where, key })
    : mlflow.post(`${resource}/set-tag`, { ...where, key, value });
}

/** Point an alias to a version, or take it away where there is none, without a word why. */
export const putAlias = (name: string, alias: string, version: string | undefined) =>
  version === undefined
    ? mlflow.send("DELETE", "registered-models/alias", { name, alias })
    : mlflow.post("registered-models/alias", { name, alias, version });

/** Point an alias to a version and keep why; returns what undoes it. */
export async function moveAlias(
  name: string,
  alias: string,
  from: string | undefined,
  to: string,
  reason: string,
): Promise<() => Promise<void>> {
  await putAlias(name, alias, to);
  const { key, value } = aliasMove(alias, from, reason);
  await putTag(name, to, key, value);
  return async () => {
    await putAlias(name, alias, from);
    await putTag(name, to, key, undefined);
  };
}

/** Move a version to a stage and keep why; returns what undoes it. */
export async function moveStage(
  name: string,
  version: ModelVersion,
  stage: string,
  others: readonly ModelVersion[],
  isArchiving: boolean,
  reason: string,
): Promise<() => Promise<void>> {
  const put = (which: string, to: string, archive = false) =>
    mlflow.post("model-versions/transition-stage", {
      name,
      version: which,
      stage: to,
      archive_existing_versions: archive,
    });
  await put(version.version, stage, isArchiving);
  const { key, value } = stageMove(version.current_stage, stage, reason);
  await putTag(name, version.version, key, value);
  return async () => {
    await put(version.version, version.current_stage);
    if (isArchiving)
      for (const other of others)
        if (other.version !== version.version && other.current_stage === stage)
          await put(other.version, stage);
    await putTag(name, version.version, key, undefined);
  };
}

/** A run's params and last metrics. */
export interface RunNumbers {
  readonly params: ReadonlyMap<string, string>;
  readonly metrics: ReadonlyMap<string, number>;
  readonly tags: ReadonlyMap<string, string>;
  readonly datasets: readonly RunDataset[];
}

export interface RunDataset {
  readonly name: string;
  readonly digest: string;
  readonly context: string;
  readonly source: string;
}

interface RunAnswer {
  run: {
    data: {
      metrics?: { key: string; value: number | string }[];
      params?: { key: string; value?: string }[];
      tags?: { key: string; value?: string }[];
    };
    inputs?: {
      dataset_inputs?: {
        dataset: { name: string; digest: string; source?: string };
        tags?: { key: string; value?: string }[];
      }[];
    };
  };
}

export async function readRun(run_id: string, abort?: AbortSignal): Promise<RunNumbers> {
  const { run } = await mlflow.get<RunAnswer>("runs/get", { run_id }, abort);
  const texts = (pairs: { key: string; value?: string }[] = []) =>
    new Map(pairs.map((each) => [each.key, each.value ?? ""]));
  return {
    params: texts(run.data.params),
    tags: texts(run.data.tags),
    metrics: new Map((run.data.metrics ?? []).map((each) => [each.key, Number(each.value)])),
    datasets: (run.inputs?.dataset_inputs ?? []).map(({ dataset, tags }) => ({
      name: dataset.name,
      digest: dataset.digest,
      source: dataset.source ?? "",
      context: tags?.find((tag) => tag.key === "mlflow.data.context")?.value ?? "",
    })),
  };
}

/** Everything of a version that two of them are compared by; what cannot be read is absent. */
export interface WholeVersion {
  readonly row: VersionRow;
  readonly card: ModelCard | undefined;
  readonly run: RunNumbers | undefined;
}

export async function readWhole(name: string, version: string, abort?: AbortSignal): Promise<WholeVersion> {
  const [row, card] = await Promise.all([
    readVersion(name, version, abort),
    readCard(name, version, abort).catch(unlessAborted(abort)),
  ]);
  const run = row.run ? await readRun(row.run.run_id, abort).catch(unlessAborted(abort)) : undefined;
  return { row, card, run };
}

/** A part that is not there must not keep the rest from being shown. */
function unlessAborted(abort: AbortSignal | undefined) {
  return (error: unknown): undefined => {
    if (abort?.aborted) throw error;
    return undefined;
  };
}
