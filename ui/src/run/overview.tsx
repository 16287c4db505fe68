/** A run at a glance. */

import { useMemo, useState } from "preact/hooks";
import { pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Notes } from "../markdown/notes";
import { Console } from "./console";
import { Datasets } from "./datasets";
import { Earlier } from "./earlier";
import { MetricsTable } from "./metrics_table";
import { Models } from "./models";
import { ParamsTable } from "./params_table";
import { Related } from "./related";
import { isSystem, NOTE, putTag, type RunFacts } from "./run_data";

export function Overview({ run, onChange }: { run: RunFacts; onChange: () => void }) {
  const [isEditing, setEditing] = useState(false);
  const shortcuts = useMemo(
    () => [
      { keys: "n", what: "write notes", run: () => setEditing(true) },
      { keys: "/", what: "search metrics", run: () => document.getElementById("metrics-search")?.focus() },
    ],
    [],
  );
  useShortcuts(shortcuts);
  const metrics = useMemo(() => run.metrics.filter((metric) => !isSystem(metric.key)), [run.metrics]);
  const note = run.tags.get(NOTE) ?? "";
  const save = async (text: string) => {
    if (text === "") {
      if (run.tags.has(NOTE)) await putTag(run.id, NOTE, undefined);
    } else await putTag(run.id, NOTE, text);
    onChange();
  };
  return (
    <div class="overview">
      <div class="stack">
        <MetricsTable id="metrics" title="Metrics" run={run} metrics={metrics} />
        <ParamsTable params={run.params} />
        <Earlier run={run} />
        <section aria-labelledby="console-title">
          <div class="values-head">
            <h2 id="console-title">Console</h2>
            <span class="stretch" />
            <a href={pageUrl(["experiments", run.experiment, "runs", run.id, "console"])}>All of it</a>
          </div>
          <Console run={run} isTail />
        </section>
      </div>
      <div class="stack">
        <Notes text={note} onSave={save} isEditing={isEditing} onEdit={setEditing} />
        <Models run={run} />
        <Datasets inputs={run.raw.inputs?.dataset_inputs ?? []} />
        <Related run={run} />
      </div>
    </div>
  );
}
