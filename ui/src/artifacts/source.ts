/** Where files are: those of a run, or of a logged model. */

import { fetchChecked, hasToken, mlflow, serverUrl, withQuery } from "../api/request";
import type { ListArtifactsResponse } from "../api/schema";
import { saveBlob, saveFrom } from "../app/save_file";
import { shellQuote } from "../lib/shell_words";

export interface Entry {
  /** From the root. */
  readonly path: string;
  readonly isFolder: boolean;
  readonly size: number | undefined;
}

export interface ArtifactSource {
  /** Tells one root from another. */
  readonly key: string;
  list(folder: string, abort?: AbortSignal): Promise<Entry[]>;
  /** Of a file, below the server's root. */
  path(file: string): string;
  /** A command that downloads a file or folder. */
  command(path: string): string;
}

function entriesOf(answer: ListArtifactsResponse): Entry[] {
  const found = (answer.files ?? []).map((file) => ({
    path: file.path,
    isFolder: file.is_dir,
    size: file.is_dir || file.file_size === null ? undefined : Number(file.file_size ?? 0),
  }));
  const order = new Intl.Collator("en", { numeric: true });
  return found.sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || order.compare(a.path, b.path));
}

export function filesOfRun(runId: string): ArtifactSource {
  return {
    key: `run ${runId}`,
    list: async (folder, abort) =>
      entriesOf(
        await mlflow.get<ListArtifactsResponse>("artifacts/list", { run_id: runId, path: folder }, abort),
      ),
    path: (file) => withQuery("get-artifact", { run_id: runId, path: file }),
    command: (path) =>
      `slipstream artifacts download --run-id ${runId}${path ? ` --artifact-path ${shellQuote(path)}` : ""}`,
  };
}

export function filesOfModel(modelId: string): ArtifactSource {
  const route = `logged-models/${encodeURIComponent(modelId)}/artifacts`;
  return {
    key: `model ${modelId}`,
    list: async (folder, abort) =>
      entriesOf(
        await mlflow.get<ListArtifactsResponse>(
          `${route}/directories`,
          { artifact_directory_path: folder },
          abort,
        ),
      ),
    path: (file) => withQuery(`ajax-api/2.0/mlflow/${route}/files`, { artifact_file_path: file }),
    command: (path) =>
      `slipstream artifacts download --artifact-uri ${shellQuote(`models:/${modelId}${path ? `/${path}` : ""}`)}`,
  };
}

export interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the whole file. */
  readonly size: number;
  readonly isCut: boolean;
}

/** Read a file from its start, at most so many bytes of it: then the rest is not taken. */
export async function readContent(
  source: ArtifactSource,
  path: string,
  most: number,
  abort?: AbortSignal,
): Promise<Content> {
  // A range would be refused for an empty file.
  const answer = await fetchChecked(source.path(path), abort ? { signal: abort } : {});
  const reader = answer.body?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (reader && length <= most) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  const bytes = new Uint8Array(Math.min(length, most));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at += Math.min(part.length, bytes.length - at);
  }
  const isCut = length > most;
  if (isCut) await reader?.cancel();
  const size = Number(answer.headers.get("content-length") ?? length);
  return { bytes, size: Math.max(size, length), isCut };
}

/** Some bytes of a file. */
export async function readPart(
  source: ArtifactSource,
  path: string,
  range: string,
  abort?: AbortSignal,
): Promise<Content> {
  const init: RequestInit = { headers: { range: `bytes=${range}` } };
  if (abort) init.signal = abort;
  const answer = await fetchChecked(source.path(path), init);
  const whole = /\/(\d+)$/.exec(answer.headers.get("content-range") ?? "");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return { bytes, size: whole ? Number(whole[1]) : bytes.length, isCut: true };
}

/** The text of a file that is small; `undefined` if there is no such file. */
export async function readText(
  source: ArtifactSource,
  path: string,
  most: number,
  abort?: AbortSignal,
): Promise<{ text: string; isCut: boolean; size: number } | undefined> {
  try {
    const content = await readContent(source, path, most, abort);
    return { text: new TextDecoder().decode(content.bytes), isCut: content.isCut, size: content.size };
  } catch (error) {
    if ((error as { status?: number }).status === 404) return undefined;
    throw error;
  }
}

/** An address that the browser can load by itself; `undefined` where the server wants a token, which only we send. */
export function plainUrl(source: ArtifactSource, path: string): string | undefined {
  return hasToken() ? undefined : serverUrl(source.path(path));
}

export async function download(source: ArtifactSource, path: string): Promise<void> {
  const plain = plainUrl(source, path);
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (plain) {
    saveFrom(plain, name);
    return;
  }
  const answer = await fetchChecked(source.path(path));
  // no type that a browser would show
  saveBlob(new Blob([await answer.arrayBuffer()], { type: "application/octet-stream" }), name);
}
