/** What the machine did while a run went, and what machine it is. */

import { useMemo } from "preact/hooks";
import { pageUrl } from "../app/router";
import { visibleLine } from "../lib/visible";
import { MetricsTable } from "./metrics_table";
import { isSystem, type RunFacts } from "./run_data";

export function SystemTab({ run }: { run: RunFacts }) {
  const metrics = useMemo(() => run.metrics.filter((metric) => isSystem(metric.key)), [run.metrics]);
  const host = run.tags.get("slipstream.host");
  const charts = pageUrl(["experiments", run.experiment, "runs", run.id, "charts"], { find: "system/" });
  return (
    <div class="stack">
      {host && (
        <p>
          <span class="quiet">on</span> {visibleLine(host)}
        </p>
      )}
      {metrics.length === 0 ? (
        <p class="quiet">
          The machine was not measured. <code>slipstream.enable_system_metrics_logging()</code> does it.
        </p>
      ) : (
        <>
          <p>
            <a href={charts}>See them as charts</a>
          </p>
          <MetricsTable id="metrics" title="System metrics" run={run} metrics={metrics} />
        </>
      )}
    </div>
  );
}
