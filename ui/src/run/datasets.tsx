/** The data sets that a run was given. */

import type { DatasetInputMessage } from "../api/schema";
import { JsonTree } from "../artifacts/json_tree";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Link } from "../markdown/markdown";

export function Datasets({ inputs }: { inputs: readonly DatasetInputMessage[] }) {
  if (inputs.length === 0) return null;
  return (
    <section aria-labelledby="datasets-title">
      <h2 id="datasets-title">Data sets</h2>
      <ul class="plain-list">
        {inputs.map((input, index) => (
          <li key={index}>
            <Dataset input={input} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Dataset({ input: { dataset, tags = [] } }: { input: DatasetInputMessage }) {
  const context = tags.find((tag) => tag.key === "mlflow.data.context")?.value;
  const profile = read(dataset.profile);
  const rows = isObject(profile) && typeof profile.num_rows === "number" ? profile.num_rows : undefined;
  const source = read(dataset.source);
  const place = isObject(source)
    ? [source.uri, source.url, source.path].find((each): each is string => typeof each === "string")
    : undefined;
  const schema = read(dataset.schema);
  return (
    <>
      <p>
        <strong>{visibleLine(dataset.name)}</strong>{" "}
        <span class="mono quiet">{visibleLine(dataset.digest)}</span>
        {context && <span class="chip">{visibleLine(context)}</span>}
        {rows !== undefined && <span class="quiet"> {count(rows)} rows</span>}
      </p>
      <p class="quiet">
        {visibleLine(dataset.source_type)}
        {place && (
          <>
            {" "}
            <Link href={place.includes("://") ? place : ""}>{visibleLine(place)}</Link>
          </>
        )}
      </p>
      {schema !== undefined && (
        <details>
          <summary>Schema</summary>
          <JsonTree value={schema} />
        </details>
      )}
    </>
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

function read(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // other clients write what they like
  }
}
