/**
 * Images, sounds and tables that a run logged by step, with a slider; the last one is shown first. They are files named as
 * MLflow's `log_image` names them: `images/KEY%step%STEP%timestamp%MS%UUID.png`.
 */

import "../styles/charts.css";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { fetchChecked, mlflow, withQuery } from "../api/request";
import { useResource } from "../api/resource";
import type { ListArtifactsResponse } from "../api/schema";
import { useLive } from "../app/live";
import { query, setQuery } from "../app/router";
import { Failure, Skeleton } from "../app/states";
import { parseDelimited } from "../formats/delimited";
import { count, moment, stepText } from "../lib/format";
import { listFromText, listToText } from "../runs/columns";
import { type MediaFile, mediaByKey, placeOf, placeText } from "./media_files";

const FOLDERS = ["images", "audio", "tables"];
const MOST_ROWS = 200;
/** Files come seldom; a run that logs numbers all the time must not have its folders listed as often. */
const CALM_MS = 5000;

export async function listMedia(run_id: string, abort: AbortSignal): Promise<Map<string, MediaFile[]>> {
  const paths: string[] = [];
  const root = await mlflow.get<ListArtifactsResponse>("artifacts/list", { run_id }, abort);
  for (const { path, is_dir } of root.files ?? [])
    if (is_dir && FOLDERS.includes(path)) {
      const page = await mlflow.get<ListArtifactsResponse>("artifacts/list", { run_id, path }, abort);
      for (const file of page.files ?? []) if (!file.is_dir) paths.push(file.path);
    }
  return mediaByKey(paths);
}

/** Nothing where there is nothing, since most runs have none. */
export function RunMedia({ runId }: { readonly runId: string }) {
  const media = useResource(runId, (abort) => listMedia(runId, abort));
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useLive({ runs: [runId] }, () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void media.reload();
    }, CALM_MS);
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  const found = media.value.value;
  if (media.error.value && !found) return <Failure error={media.error.value} retry={media.reload} />;
  if (!found?.size) return null;
  return (
    <section class="charts media" aria-label="By step">
      <h2>Images, sounds and tables by step</h2>
      <div class="cards">
        {[...found].map(([key, files]) => (
          <MediaCard key={key} name={key} files={files} runId={runId} />
        ))}
      </div>
    </section>
  );
}

/** The step is in the address only where it is not the last, so that a page goes on with its run. */
function MediaCard({ name, files, runId }: { name: string; files: readonly MediaFile[]; runId: string }) {
  const kept = new Map(
    listFromText(query.value.get("at") ?? "").map((text) => {
      const at = text.lastIndexOf("=");
      return [text.slice(0, at), text.slice(at + 1)] as const;
    }),
  );
  const last = files.length - 1;
  const at = placeOf(files, kept.get(name));
  const file = files[at] as MediaFile;
  const choose = (place: number) => {
    if (place >= last) kept.delete(name);
    else kept.set(name, placeText(files, place));
    setQuery({ at: listToText([...kept].map(([key, value]) => `${key}=${value}`)) });
  };
  return (
    <article class="chart" aria-label={name}>
      <header>
        <h3 title={name}>{name}</h3>
        <output class="reading" aria-live="polite">
          step {stepText(file.step)}
        </output>
      </header>
      <div class="medium">
        <Medium key={file.path} file={file} runId={runId} name={name} />
      </div>
      <footer class="quiet step-slider">
        <input
          type="range"
          min="0"
          max={last}
          value={at}
          aria-label={`Step of ${name}`}
          aria-valuetext={`step ${file.step}`}
          disabled={last === 0}
          onInput={(event) => choose(Number(event.currentTarget.value))}
        />
        <span>
          {count(at + 1)} of {count(files.length)}
        </span>
        <time title={moment(file.time)}>{moment(file.time)}</time>
      </footer>
    </article>
  );
}

export function Medium({ file, runId, name }: { file: MediaFile; runId: string; name: string }) {
  const path = withQuery("get-artifact", { run_id: runId, path: file.path });
  // read with the token, which an address in the page would not send
  const content = useResource(path, async (abort) => {
    const answer = await fetchChecked(path, { signal: abort });
    if (file.kind === "table") return { text: await answer.text() };
    return { url: URL.createObjectURL(await answer.blob()) };
  });
  const found = content.value.value;
  const url = found && "url" in found ? found.url : undefined;
  useEffect(() => () => URL.revokeObjectURL(url ?? ""), [url]);
  if (content.error.value) return <Failure error={content.error.value} retry={content.reload} />;
  if (!found) return <Skeleton lines={3} />;
  if (file.kind === "image") return <img src={url} alt={`${name} at step ${file.step}`} />;
  // biome-ignore lint/a11y/useMediaCaption: what was logged has no captions
  if (file.kind === "audio") return <audio controls src={url} aria-label={`${name} at step ${file.step}`} />;
  return <SmallTable text={found.text ?? ""} isJson={file.path.endsWith(".json")} name={name} />;
}

/** Rows of `{"columns": [...], "data": [[...]]}`, of a list of records, or of lines with commas. */
function SmallTable({ text, isJson, name }: { text: string; isJson: boolean; name: string }) {
  const table = useMemo(() => (isJson ? tableFromJson(text) : tableFromCsv(text)), [text, isJson]);
  if (!table) return <pre>{text.slice(0, 5000)}</pre>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div class="scrolls" tabIndex={0} role="region" aria-label={name}>
      <table class="values">
        <thead>
          <tr>
            {table.columns.map((column, at) => (
              <th key={at} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.slice(0, MOST_ROWS).map((row, at) => (
            <tr key={at}>
              {row.map((cell, place) => (
                <td key={place}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {table.rows.length > MOST_ROWS && <p>{count(table.rows.length - MOST_ROWS)} more rows.</p>}
    </div>
  );
}

interface Cells {
  columns: string[];
  rows: string[][];
}

const cellText = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function tableFromJson(text: string): Cells | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (Array.isArray(content)) {
    const records = content.filter((each) => typeof each === "object" && each !== null) as Record<
      string,
      unknown
    >[];
    const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
    return {
      columns,
      rows: records.map((record) => columns.map((column) => cellText(record[column] ?? ""))),
    };
  }
  const { columns, data } = (content ?? {}) as { columns?: unknown[]; data?: unknown[][] };
  if (!Array.isArray(columns) || !Array.isArray(data) || !data.every(Array.isArray)) return undefined;
  return { columns: columns.map(String), rows: data.map((row) => row.map(cellText)) };
}

function tableFromCsv(text: string): Cells {
  const { head, rows } = parseDelimited(text, ",");
  return { columns: head, rows };
}
