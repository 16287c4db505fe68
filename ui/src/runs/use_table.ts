/** What a runs table shows while one asks for something else. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { type Grouping, groupRows } from "./groups";
import { type RunRows, type TableQuery, tableRows } from "./table";

const FIRST_ROWS = 60;

/**
 * What a query finds, once its first rows are there: what was shown before stays until then.
 *
 * `known` are the columns where the query leaves them to the server and it has chosen before. `next` has the rows that are being read, whose fault may be shown beside the old ones.
 */
export function useTable(
  query: TableQuery | undefined,
  known: readonly string[] | undefined,
  grouping: Grouping | undefined,
): {
  shown: RunRows | undefined;
  next: RunRows | undefined;
} {
  const key = query && JSON.stringify([query, grouping]);
  const next = useMemo(
    () => query && (grouping ? groupRows(query, grouping, known) : tableRows(query, known)),
    [key],
  );
  const [shown, setShown] = useState<RunRows>();
  useEffect(() => {
    if (!next) return;
    next.roots.want(0, FIRST_ROWS);
    const stop = next.roots.total.subscribe((total) => {
      if (total !== undefined) setShown(next);
    });
    return () => {
      stop();
      next.roots.stop();
    };
  }, [next]);
  return { shown, next };
}
