/** The table as a file: all found runs, the columns that are shown, in their order. */

import { fetchChecked, own } from "../api/request";
import { saveBlob } from "../app/save_file";
import { csvCell } from "../lib/csv";
import { fieldNamed, isCurve } from "./columns";
import { type Grouping, isMetric, readGroups, STATISTICS } from "./groups";
import { readTable, rowsOf, type TableQuery } from "./table";

const AT_ONCE = 1_000;

/** Columns that a file can have: curves are pictures. */
const written = (query: TableQuery) => ({
  ...query,
  columns: (query.columns ?? []).filter((name) => !isCurve(name)),
});

/** Have the server write all rows as Parquet, and save them under a name. How long it becomes is not known before; how much is here is told. */
export async function saveParquet(
  query: TableQuery,
  name: string,
  onProgress: (read: number) => void,
): Promise<void> {
  const answer = await fetchChecked(own.path("runs/export"), {
    method: "POST",
    body: JSON.stringify({ ...written(query), format: "parquet" }),
    headers: { "content-type": "application/json" },
  });
  const parts: BlobPart[] = [];
  let read = 0;
  for (const reader = answer.body?.getReader(); reader; ) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    read += value.length;
    onProgress(read);
  }
  saveBlob(new Blob(parts, { type: "application/vnd.apache.parquet" }), name);
}

/** Read all rows, and save them under a name. */
export async function saveCsv(
  shown: TableQuery,
  name: string,
  onProgress: (share: number) => void,
): Promise<void> {
  const query = written(shown);
  const names = query.columns ?? [];
  // a value at a step may be of an earlier one
  const stepped = names.flatMap((name, index) => (fieldNamed(name)?.aggregate === "step" ? [index] : []));
  const heads = [...names, ...stepped.map((index) => `${names[index]} of step`)];
  const parts = [["run_id", "name", "status", "start_time", "end_time", ...heads].map(csvCell).join(",")];
  for (let offset = 0, total = 1; offset < total; offset += AT_ONCE) {
    const page = await readTable(query, offset, AT_ONCE);
    total = page.total;
    for (const row of rowsOf(page))
      parts.push(
        [
          row.id,
          row.name,
          row.status,
          row.start,
          row.end,
          ...row.values,
          ...stepped.map((index) => row.steps?.[index]),
        ]
          .map(csvCell)
          .join(","),
      );
    onProgress(Math.min(1, (offset + AT_ONCE) / total));
  }
  saveBlob(new Blob([`${parts.join("\r\n")}\r\n`], { type: "text/csv" }), name);
}

/** Read all groups, and save what each has, how many runs it is of, and how each metric spreads. */
export async function saveGroupsCsv(query: TableQuery, grouping: Grouping, name: string): Promise<void> {
  const names = (query.columns ?? []).filter(isMetric);
  const heads = names.flatMap((metric) => ["count", ...STATISTICS].map((each) => `${metric} ${each}`));
  const parts = [[...grouping.by, "runs", ...heads].map(csvCell).join(",")];
  for (let offset = 0, total = 1; offset < total; offset += AT_ONCE) {
    const page = await readGroups(query, names, grouping, offset, AT_ONCE);
    total = page.total;
    for (const group of page.groups) {
      const numbers = group.spreads.flatMap((spread) => [
        spread?.count ?? 0,
        ...STATISTICS.map((each) => spread?.[each]),
      ]);
      parts.push([...group.keys, group.runs, ...numbers].map(csvCell).join(","));
    }
  }
  saveBlob(new Blob([`${parts.join("\r\n")}\r\n`], { type: "text/csv" }), name);
}
