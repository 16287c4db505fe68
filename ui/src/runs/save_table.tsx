/** Buttons that save the table as a file, and say how far they are. */

import { useState } from "preact/hooks";
import { tellFailure } from "../app/toasts";
import { bytes } from "../lib/format";
import { saveGroupsCsv, saveRows } from "./as_csv";
import type { Grouping } from "./groups";
import type { TableQuery } from "./table";

interface Props {
  /** Nothing while there are no rows. */
  readonly query: TableQuery | undefined;
  readonly grouping: Grouping | undefined;
  readonly name: string;
}

export function SaveTable({ query, grouping, name }: Props) {
  const [progress, setProgress] = useState<string>();
  const save = async (form: "csv" | "parquet") => {
    if (!query || progress !== undefined) return;
    const { roots_only: _, ...all } = query;
    const file = `${name.replace(/[^\w.-]+/g, "_")}.${form}`;
    setProgress("");
    try {
      if (grouping) await saveGroupsCsv(all, grouping, file);
      else await saveRows(all, form, file, (read) => setProgress(bytes(read)));
    } catch (error) {
      tellFailure(error);
    }
    setProgress(undefined);
  };
  const isOff = !query || progress !== undefined;
  return (
    <>
      {progress !== undefined && (
        <output class="quiet" aria-live="polite">
          Saving {progress}
        </output>
      )}
      <button type="button" disabled={isOff} onClick={() => void save("csv")}>
        CSV
      </button>
      {!grouping && (
        <button type="button" disabled={isOff} onClick={() => void save("parquet")}>
          Parquet
        </button>
      )}
    </>
  );
}
