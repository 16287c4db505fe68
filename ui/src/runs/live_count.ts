/** How many runs a filter would find, while it is typed. */

import { useEffect, useState } from "preact/hooks";
import { own } from "../api/request";

/** Between keys of somebody who types: with the answer it makes less than the 150 ms that feel like at once. */
const TYPING_MS = 50;

interface Counted {
  readonly filter: string;
  readonly runs: number;
}

/**
 * Return how many runs `filter` finds, with the filter that was counted; nothing where `filter` is undefined.
 *
 * While an answer is on its way the count before it is returned, so that nothing flickers.
 */
export function useLiveCount(
  filter: string | undefined,
  experiments: readonly string[],
  isTrash: boolean,
): Counted | undefined {
  const [counted, setCounted] = useState<Counted>();
  useEffect(() => {
    if (filter === undefined) {
      setCounted(undefined);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      own
        .post<{ total: number }>(
          "runs/table",
          {
            experiment_ids: experiments,
            filter,
            view_type: isTrash ? "DELETED_ONLY" : "ACTIVE_ONLY",
            columns: [],
            limit: 1,
          },
          abort.signal,
        )
        .then(
          (page) => setCounted({ filter, runs: page.total }),
          // what is wrong with it is told when it is applied
          () => abort.signal.aborted || setCounted(undefined),
        );
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [filter, isTrash, experiments.join()]);
  return counted;
}
