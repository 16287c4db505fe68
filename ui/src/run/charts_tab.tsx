/** The place of a run's charts. Until they are drawn, its metrics in numbers. */

import { useMemo } from "preact/hooks";
import { MetricsTable } from "./metrics_table";
import { isSystem, type RunFacts } from "./run_data";

export function ChartsTab({ run, ofSystem = false }: { run: RunFacts; ofSystem?: boolean }) {
  const metrics = useMemo(
    () => run.metrics.filter((metric) => isSystem(metric.key) === ofSystem),
    [run.metrics, ofSystem],
  );
  if (ofSystem && metrics.length === 0)
    return (
      <p class="quiet">
        The machine was not measured. <code>slipstream.enable_system_metrics_logging()</code> does it.
      </p>
    );
  return (
    <MetricsTable id="metrics" title={ofSystem ? "System metrics" : "Metrics"} run={run} metrics={metrics} />
  );
}
