/** The table as a file: all found runs, the columns that are shown, in their order. */

import { fetchChecked, own } from "../api/request";
import { saveBlob } from "../app/save_file";
import { csvCell } from "../lib/csv";
import { isCurve } from "./columns";
import { type Grouping, isMetric, readGroups, STATISTICS } from "./groups";
import type { TableQuery } from "./table";

const AT_ONCE = 1_000;
const KINDS = { csv: "text/csv", parquet: "application/vnd.apache.parquet" };

/**
 * Have the server write all rows, as they are at one time, and save them under a name.
 *
 * How long the file becomes is not known before; how much is here is told.
 */
export async function saveRows(
  query: TableQuery,
  format: keyof typeof KINDS,
  name: string,
  onProgress: (read: number) => void,
): Promise<void> {
  const columns = (query.columns ?? []).filter((column) => !isCurve(column)); // curves are pictures
  const answer = await fetchChecked(own.path("runs/export"), {
    method: "POST",
    body: JSON.stringify({ ...query, columns, format, for_spreadsheets: true }),
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
  saveBlob(new Blob(parts, { type: KINDS[format] }), name);
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
