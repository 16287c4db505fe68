/** Rows of a page: the first are read before there is a table to ask for them, and none once the page is left. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { RowSource } from "./rows";

const FIRST_ROWS = 40;

/**
 * Return what is to be shown: what was before, until the first of `rows` are there, so that nothing flickers while one
 * types. Nothing of another `kind` stays: what can be done with it is something else.
 */
export function useRows<S extends RowSource<unknown>>(rows: S, kind = ""): S {
  const before = useRef({ rows, kind });
  const [, setReady] = useState<S>();
  const isReady = rows.total.value !== undefined;
  if (isReady || before.current.kind !== kind) before.current = { rows, kind };
  useEffect(() => {
    rows.want(0, FIRST_ROWS);
    const stop = rows.total.subscribe((total) => total !== undefined && setReady(() => rows));
    return () => {
      stop();
      rows.stop();
    };
  }, [rows]);
  return before.current.rows;
}
