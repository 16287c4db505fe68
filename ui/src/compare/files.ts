/** Small text files of runs. */

import { ApiError, fetchChecked, mlflow, withQuery } from "../api/request";
import type { ListArtifactsResponse } from "../api/schema";

export const MOST_BYTES = 500_000;
const TEXTS = /\.(txt|md|json|ya?ml|toml|csv|tsv|py|sh|cfg|ini|log|lock|patch|xml|html|sql|jinja)$/i;
const MOST_FOLDERS = 30;
const DEEPEST = 3;

/** Text files that are worth a comparison, from the root down. */
export async function textFiles(run_id: string, abort: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  let folders = [""];
  let read = 0;
  for (let depth = 0; depth < DEEPEST && folders.length; depth++) {
    const next: string[] = [];
    for (const path of folders) {
      if (read++ >= MOST_FOLDERS) break;
      const page = await mlflow.get<ListArtifactsResponse>("artifacts/list", { run_id, path }, abort);
      for (const file of page.files ?? [])
        if (file.is_dir) next.push(file.path);
        else if (TEXTS.test(file.path) && Number(file.file_size ?? 0) <= MOST_BYTES) found.push(file.path);
    }
    folders = next;
  }
  return found;
}

/** The file's text; `undefined` where the run has none. */
export async function textOf(run_id: string, path: string, abort: AbortSignal): Promise<string | undefined> {
  try {
    const answer = await fetchChecked(withQuery("get-artifact", { run_id, path }), { signal: abort });
    return await answer.text();
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return undefined;
    throw error;
  }
}

/** Files of a folder, to ask for none that is not there. */
export async function namesIn(run_id: string, path: string, abort: AbortSignal): Promise<Set<string>> {
  const page = await mlflow.get<ListArtifactsResponse>("artifacts/list", { run_id, path }, abort);
  return new Set((page.files ?? []).map((file) => file.path));
}
