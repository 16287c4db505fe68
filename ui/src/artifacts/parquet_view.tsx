/** A Parquet file: its rows, and its columns as its last bytes tell them. */

import { ApiError } from "../api/request";
import { useResource } from "../api/resource";
import { CopyBlock } from "../app/copy";
import { Failure, Skeleton } from "../app/states";
import { footerLength, ParquetError, readFooter } from "../formats/parquet_footer";
import { count } from "../lib/format";
import { shellQuote } from "../lib/shell_words";
import { visibleLine } from "../lib/visible";
import { ParquetRows } from "./parquet_rows";
import { type ArtifactSource, readPart } from "./source";

const MOST_FOOTER = 16_000_000;

export function ParquetView({ source, path, size }: { source: ArtifactSource; path: string; size: number }) {
  const facts = useResource(`${source.key} ${path}`, async (abort) => {
    try {
      const end = await readPart(source, path, "-8", abort);
      const length = footerLength(end.bytes);
      if (length > Math.min(MOST_FOOTER, size)) throw new ParquetError("The file's description is too long.");
      const footer = await readPart(source, path, `-${length + 8}`, abort);
      return readFooter(footer.bytes.subarray(0, length));
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw new ApiError(
        error instanceof ParquetError ? error.message : "This is not a Parquet file.",
        -1,
        "",
      );
    }
  });
  const found = facts.value.value;
  if (facts.error.value) return <Failure error={facts.error.value} />;
  if (!found) return <Skeleton />;
  return (
    <>
      <p>
        {count(found.rows)} rows in {count(found.groups)} {found.groups === 1 ? "group" : "groups"}
        {found.writer && <span class="quiet">, written by {visibleLine(found.writer)}</span>}
      </p>
      {found.rows > 0 && <ParquetRows source={source} path={path} size={size} />}
      <h3>Columns</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="scrolls" tabIndex={0} role="region" aria-label="Columns">
        <table class="lined">
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Type</th>
              <th scope="col">May be absent</th>
            </tr>
          </thead>
          <tbody>
            {found.columns.slice(0, 2000).map((column, index) => (
              <tr key={index}>
                <td class="mono">
                  <span style={{ paddingLeft: `${column.depth * 16}px` }}>{visibleLine(column.name)}</span>
                </td>
                <td>{column.type}</td>
                <td>{column.isOptional ? "yes" : "no"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h3>All of it in a terminal</h3>
      <CopyBlock
        label="Read the rows in a terminal"
        text={`${source.command(path)} --dst-path .
python -c 'import pandas, sys; print(pandas.read_parquet(sys.argv[1]))' ${shellQuote(path)}`}
      />
    </>
  );
}
