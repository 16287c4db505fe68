/** All metrics of one run as charts, growing as it logs. */

import "../styles/charts.css";
import { useMemo, useRef } from "preact/hooks";
import type { RunMessage } from "../api/schema";
import { useShortcuts } from "../app/shortcuts";
import { Empty } from "../app/states";
import { count } from "../lib/format";
import { ChartGrid } from "./chart_grid";
import { newLink } from "./link";
import { RunMedia } from "./media_steps";
import { matching } from "./search";
import { readSettings } from "./settings";
import { ChartToolbar } from "./toolbar";

/** `run` is read anew by its page; charts read their own new points. */
export function RunCharts({ run }: { readonly run: RunMessage }) {
  const runId = run.info.run_id;
  const settings = readSettings();
  const link = useMemo(newLink, []);
  const logged = useMemo(
    () => [...new Set((run.data.metrics ?? []).map((metric) => metric.key ?? ""))],
    [run],
  );
  // the same list for the same names, so that new values do not draw everything anew
  const kept = useRef(logged);
  if (kept.current.join("\n") !== logged.join("\n")) kept.current = logged;
  const keys = kept.current;
  const byName = useMemo(() => [...keys].sort((one, other) => (one < other ? -1 : 1)), [keys]);
  const metrics = useMemo(
    () => matching(settings.order === "name" ? byName : keys, settings.search),
    [keys, byName, settings.order, settings.search],
  );
  const runs = useMemo(
    () => [{ id: runId, name: run.info.run_name ?? runId.slice(0, 8), slot: 0 }],
    [runId, run.info.run_name],
  );
  useShortcuts(SHORTCUTS);
  if (keys.length === 0)
    return (
      <>
        <Empty title="No metric yet">
          <p>
            What this run logs with <code>log_metric</code> is drawn here as it comes.
          </p>
        </Empty>
        <RunMedia runId={runId} />
      </>
    );
  return (
    <div class="chart-page">
      <ChartToolbar settings={settings} metrics={byName} found={foundText(metrics.length, keys.length)} />
      {metrics.length === 0 ? (
        <Empty title="No metric has such a name" />
      ) : (
        <ChartGrid metrics={metrics} runs={runs} settings={settings} link={link} />
      )}
      <RunMedia runId={runId} />
    </div>
  );
}

export const SHORTCUTS = [
  { keys: "/", what: "search metrics", run: () => document.getElementById("find-charts")?.focus() },
  {
    keys: "+ -",
    what: "zoom a chart in and out (arrows move its cursor, with Shift its window; 0 shows all; v its values)",
    run: () => document.querySelector<HTMLElement>(".plot[tabindex]")?.focus(),
  },
];

export const foundText = (found: number, all: number) =>
  found === all ? `${count(all)} ${all === 1 ? "metric" : "metrics"}` : `${count(found)} of ${count(all)}`;
