/** The run that this one is below, and those that are below it. */

import { pageUrl } from "../app/router";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";
import type { RunFacts } from "./run_data";

export function Related({ run }: { run: RunFacts }) {
  const above = run.tags.get("mlflow.parentRunId");
  const { parent, children, childCount: total } = run;
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
            ? link(parent.experiment_id, parent.run_id, parent.name)
            : `${visibleLine(above)}, which is not here any more`}
        </p>
      )}
      {total > 0 && (
        <>
          <p class="quiet">
            {count(total)} {total === 1 ? "run is" : "runs are"} below this one
          </p>
          <ul class="plain-list">
            {children.map((row) => (
              <li key={row.run_id}>
                <span class={`status ${row.status}`} title={row.status.toLowerCase()}>
                  <span class="hidden-text">{row.status.toLowerCase()}</span>
                </span>{" "}
                {link(row.experiment_id, row.run_id, row.name)}
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
