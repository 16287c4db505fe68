/** All runs that the filter finds, beside those whose lines are drawn; its parts are loaded when it is opened. */

import { part } from "../app/part";
import { query, setQuery } from "../app/router";
import type { TableQuery } from "../runs/table";

const AllRunsView = part(() => import("../compare/all_runs_view").then((module) => module.AllRunsView));

export interface AllRunsAsked {
  readonly asked: TableQuery;
  /** The table's columns. */
  readonly names: readonly string[];
}

export function AllRuns(props: AllRunsAsked) {
  const isOpen = query.value.get("all") === "1";
  return (
    <details
      class="part all-runs"
      open={isOpen}
      onToggle={(event) => {
        if (event.currentTarget.open !== isOpen) setQuery({ all: event.currentTarget.open ? "1" : null });
      }}
    >
      <summary>
        <h2>All runs that are found: parallel coordinates and scatter</h2>
      </summary>
      {isOpen && <AllRunsView {...props} />}
    </details>
  );
}
