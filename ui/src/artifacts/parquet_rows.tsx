/** Rows of a Parquet file as a table: the first ones, and others by their number. They are unpacked by a worker with limits. */

import { useState } from "preact/hooks";
import { ApiError } from "../api/request";
import { useResource } from "../api/resource";
import { Failure, Skeleton } from "../app/states";
import type { RowsFound, RowsWanted } from "../formats/parquet_rows";
import { count } from "../lib/format";
import { visible, visibleLine } from "../lib/visible";
import type { FromWorker, ToWorker } from "./parquet_worker";
import { type ArtifactSource, readPart } from "./source";
import { TableView } from "./table_view";

const WINDOW = 10_000;
const MOST_SECONDS = 20;
const NAMED = 5;

export function ParquetRows({ source, path, size }: { source: ArtifactSource; path: string; size: number }) {
  const [wanted, setFirst] = useState(0);
  const found = useResource(`${source.key} ${path} ${wanted}`, async (abort) => {
    const rows = { size, first: wanted, count: WINDOW };
    const page = await unpack(rows, (range) => readPart(source, path, range, abort), abort);
    return { ...page, first: wanted };
  });
  const page = found.value.value;
  if (found.error.value) return <Failure error={found.error.value} retry={found.reload} />;
  if (!page) return <Skeleton />;
  const { first } = page;
  const last = first + page.rows.length;
  const isPart = page.rows.length < page.total;
  return (
    <>
      {isPart && (
        <p class="row-window" aria-live="polite">
          Rows {count(page.rows.length ? first + 1 : 0)} to {count(last)} of {count(page.total)}{" "}
          <button
            type="button"
            disabled={first === 0}
            onClick={() => setFirst(Math.max(0, first - page.rows.length))}
          >
            Earlier rows
          </button>{" "}
          <button type="button" disabled={last >= page.total} onClick={() => setFirst(last)}>
            Later rows
          </button>{" "}
          <label>
            from{" "}
            <input
              type="number"
              min="1"
              max={page.total}
              value={first + 1}
              onChange={(event) => {
                const chosen = Math.round(Number(event.currentTarget.value)) - 1;
                if (chosen >= 0 && chosen < page.total) setFirst(chosen);
              }}
            />
          </label>
        </p>
      )}
      {page.left.length > 0 && (
        <p class="cut" role="note">
          {count(page.left.length)} columns are not shown, as they are too many or too large:{" "}
          {page.left.slice(0, NAMED).map(visibleLine).join(", ")}
          {page.left.length > NAMED && " …"}
        </p>
      )}
      <TableView table={page} firstRow={first} />
    </>
  );
}

/** Have a worker do it; it is ended when it takes too long, or nobody waits any more. */
function unpack(
  rows: RowsWanted,
  read: (range: string) => Promise<{ bytes: Uint8Array<ArrayBuffer> }>,
  abort: AbortSignal,
): Promise<RowsFound> {
  return new Promise<RowsFound>((resolve, reject) => {
    const worker = new Worker(new URL("./parquet_worker.ts", import.meta.url), { type: "module" });
    const fail = (message: string) => reject(new ApiError(message, -1, ""));
    let timer: ReturnType<typeof setTimeout> | undefined;
    // what the network takes does not count
    const wind = () => {
      timer = setTimeout(() => {
        worker.terminate();
        fail(`Its rows were not unpacked in ${MOST_SECONDS} seconds. Read them with the command below.`);
      }, 1000 * MOST_SECONDS);
    };
    const end = () => {
      clearTimeout(timer);
      worker.terminate();
    };
    const send = (message: ToWorker, moved: Transferable[] = []) => {
      wind();
      worker.postMessage(message, moved);
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      clearTimeout(timer);
      if ("want" in data) {
        const [start, stop] = data.want;
        read(`${start}-${stop - 1}`).then(
          ({ bytes }) => {
            if (!abort.aborted) send({ bytes: bytes.buffer }, [bytes.buffer]);
          },
          (error: unknown) => {
            end();
            reject(error);
          },
        );
        return;
      }
      end();
      if ("found" in data) resolve(data.found);
      else
        fail(
          data.isTooLarge
            ? "Its rows lie in groups that are larger than a page unpacks. Read them with the command below."
            : `Its rows could not be unpacked: ${visible(data.failure).replace(/^(\w*Error: )+/, "")}`,
        );
    };
    worker.onerror = () => {
      end();
      fail("Its rows could not be unpacked. Read them with the command below.");
    };
    abort.addEventListener("abort", () => {
      end();
      reject(abort.reason);
    });
    send({ rows });
  });
}
