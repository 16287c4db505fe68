/** A run. */

import "../styles/run.css";
import "../styles/artifacts.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Resource, useResource } from "../api/resource";
import { useCalmReload } from "../app/calm";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { part } from "../app/part";
import { go, pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Console } from "../run/console";
import { RunHeader } from "../run/header";
import { Overview } from "../run/overview";
import { type RunFacts, readRun, withExtremes } from "../run/run_data";
import { SystemTab } from "../run/system_tab";

const RunCharts = part(() => import("../charts/run_charts").then((module) => module.RunCharts));
const ArtifactsTab = part(() => import("../run/artifacts_tab").then((module) => module.ArtifactsTab));
const CodeTab = part(() => import("../run/code_tab").then((module) => module.CodeTab));

const TABS = [
  ["overview", "Overview"],
  ["charts", "Charts"],
  ["system", "System"],
  ["console", "Console"],
  ["artifacts", "Artifacts"],
  ["code", "Code"],
] as const;
/** A run that logs all the time is not read all the time. */
const CALM_MS = 1000;
/** Of many runs below it some log all the time. */
const BELOW_MS = 3000;
const BELOW_FIRST_MS = 200;
/** The overview shows so many metrics before one scrolls. */
const EXTREMES = 200;
/** How often all points of a running run are looked at for them. */
const EXTREMES_MS = 10_000;

export default function RunPage({ at }: PageProps) {
  const id = at.run ?? "";
  const tab = at.tab ?? "overview";
  const measured = useRef(-EXTREMES_MS);
  const found: Resource<RunFacts> = useResource(id, async (abort): Promise<RunFacts> => {
    const before = found.value.peek();
    const isOverview = tab === "overview";
    const isDue = performance.now() - measured.current >= EXTREMES_MS || before?.status !== "RUNNING";
    let read = await readRun(id, isOverview && isDue ? EXTREMES : 0, abort);
    if (isOverview && !isDue && read.status !== "RUNNING") read = await readRun(id, EXTREMES, abort);
    if (read.extremes.size) measured.current = performance.now();
    return read.extremes.size || before?.id !== id ? read : withExtremes(read, before.extremes);
  });
  const run = found.value.value;
  const isRunning = run?.status === "RUNNING";
  const [beat, setBeat] = useState<number>();
  const refreshSoon = useCalmReload(found, CALM_MS);
  const refreshBelow = useCalmReload(found, BELOW_MS, BELOW_FIRST_MS);
  useLive({ closely: [id], models: true }, (changes) => {
    const sign = changes.beats.get(id);
    if (sign !== undefined) setBeat(sign);
    const isOurs = found.value.peek()?.versions.some((version) => changes.models.has(version.name));
    if (changes.children.has(id)) refreshBelow();
    // what it prints is the console's
    if (!changes.runs.has(id) && !isOurs && !changes.isReset && !(changes.consoles.has(id) && !isRunning))
      return;
    refreshSoon();
  });
  const address = (to: string) =>
    pageUrl([
      "experiments",
      run?.experiment ?? at.experiment ?? "",
      "runs",
      id,
      ...(to === "overview" ? [] : [to]),
    ]);
  useEffect(() => {
    document.title = `${run ? visibleLine(run.name) || run.id.slice(0, 8) : "Run"} · slipstream`;
    // an address by the id alone, or from before the run was moved
    if (run && at.experiment !== run.experiment) go(address(tab) + location.search, { replace: true });
  }, [run, tab]);
  const shortcuts = useMemo(
    () =>
      TABS.map(([name, title], index) => ({
        keys: String(index + 1),
        what: `go to ${title.toLowerCase()}`,
        run: () => go(address(name)),
      })),
    [run?.experiment],
  );
  useShortcuts(shortcuts);
  const lastSign = isRunning ? Math.max(beat ?? 0, run.beat ?? 0) || undefined : undefined;
  if (!run) {
    const error = found.error.value;
    if (error?.status === 404)
      return (
        <Empty title="There is no such run">
          <p>It may have been removed for ever, or its id has a slip in it.</p>
          <p>
            <a href={pageUrl(["experiments"])}>Go to the experiments</a>
          </p>
        </Empty>
      );
    return error ? <Failure error={error} retry={found.reload} /> : <Skeleton lines={9} />;
  }
  return (
    <div class="page run-page">
      <RunHeader run={run} lastSign={lastSign} onChange={found.reload} />
      {found.error.value && <Failure error={found.error.value} retry={found.reload} />}
      <nav class="tabs" aria-label="Parts of the run">
        {TABS.map(([name, title]) => (
          <a
            key={name}
            href={address(name)}
            aria-current={tab === name ? "page" : undefined}
            ref={tab === name ? reveal : null}
          >
            {title}
            {name === "charts" && <Amount of={run.metrics.length} />}
          </a>
        ))}
      </nav>
      <Tab name={tab} run={run} onChange={found.reload} />
    </div>
  );
}

/** On a phone the tabs are wider than the page. */
function reveal(link: HTMLElement | null): void {
  const row = link?.parentElement;
  if (!link || !row) return;
  const right = link.offsetLeft + link.offsetWidth - row.offsetLeft;
  if (right > row.scrollLeft + row.clientWidth) row.scrollLeft = right - row.clientWidth;
}

function Amount({ of }: { of: number }) {
  return of > 0 ? <span class="quiet"> {count(of)}</span> : null;
}

function Tab({ name, run, onChange }: { name: string; run: RunFacts; onChange: () => void }) {
  switch (name) {
    case "overview":
      return <Overview run={run} onChange={onChange} />;
    case "charts":
    case "model-metrics": // MLflow's name
      return <RunCharts run={run.raw} />;
    case "system":
    case "system-metrics":
      return <SystemTab run={run} />;
    case "console":
      return <Console run={run} />;
    case "artifacts":
      return <ArtifactsTab run={run} />;
    case "code":
      return <CodeTab run={run} />;
    default:
      return (
        <Empty title="A run has no such part">
          <p>
            <a href={pageUrl(["experiments", run.experiment, "runs", run.id])}>Go to its overview</a>
          </p>
        </Empty>
      );
  }
}
