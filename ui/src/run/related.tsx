/** The run that this one is below, and those that are below it. */

import { mlflow } from "../api/request";
import { useResource } from "../api/resource";
import type { GetRunResponse } from "../api/schema";
import { pageUrl } from "../app/router";
import { Failure } from "../app/states";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { readTable, rowsOf } from "../runs/table";
import type { RunFacts } from "./run_data";

const SHOWN = 20;

export function Related({ run }: { run: RunFacts }) {
  const above = run.tags.get("mlflow.parentRunId");
  const isId = above !== undefined && /^[0-9a-f]{32}$/.test(above);
  const found = useResource(run.id, async (abort) => {
    const [parent, page] = await Promise.all([
      isId
        ? mlflow.get<GetRunResponse>("runs/get", { run_id: above }, abort).catch(() => undefined) // it may be gone
        : undefined,
      readTable(
        {
          experiment_ids: [run.experiment],
          filter: "",
          view_type: "ACTIVE_ONLY",
          order_by: [],
          columns: [],
          parent_run_id: run.id,
        },
        0,
        SHOWN,
        abort,
      ),
    ]);
    return { parent: parent?.run.info, children: rowsOf(page), total: page.total };
  });
  if (found.error.value) return <Failure error={found.error.value} retry={found.reload} />;
  const { parent, children = [], total = 0 } = found.value.value ?? {};
  if (!above && total === 0) return null;
  const link = (experiment: string, id: string, name: string) => (
    <a href={pageUrl(["experiments", experiment, "runs", id])}>{visibleLine(name) || id.slice(0, 8)}</a>
  );
  return (
    <section aria-labelledby="related-title">
      <h2 id="related-title">Related runs</h2>
      {above && (
        <p>
          <span class="quiet">below</span>{" "}
          {parent
            ? link(parent.experiment_id, parent.run_id, parent.run_name ?? "")
            : found.value.value
              ? `${visibleLine(above)}, which is not here any more`
              : "…"}
        </p>
      )}
      {total > 0 && (
        <>
          <p class="quiet">
            {count(total)} {total === 1 ? "run is" : "runs are"} below this one
          </p>
          <ul class="plain-list">
            {children.map((row) => (
              <li key={row.id}>
                <span class={`status ${row.status}`} title={row.status.toLowerCase()}>
                  <span class="hidden-text">{row.status.toLowerCase()}</span>
                </span>{" "}
                {link(run.experiment, row.id, row.name)}
              </li>
            ))}
          </ul>
          {total > children.length && (
            <p>
              <a
                href={pageUrl(["experiments", run.experiment], {
                  filter: `tags.\`mlflow.parentRunId\` = '${run.id}'`,
                })}
              >
                All {count(total)} in the table
              </a>
            </p>
          )}
        </>
      )}
    </section>
  );
}
