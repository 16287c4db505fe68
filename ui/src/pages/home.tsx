/** What runs now, what ended lately, which models are in use; on a new server, how to begin. */

import "../styles/home.css";
import { useEffect } from "preact/hooks";
import { own } from "../api/request";
import { useResource } from "../api/resource";
import type { FindActivityResponse, RecentRun } from "../api/schema";
import { useCalmReload } from "../app/calm";
import { useClock } from "../app/clock";
import { FirstSteps } from "../app/first_steps";
import { useLive } from "../app/live";
import { pageUrl } from "../app/router";
import { Empty, Failure, Skeleton } from "../app/states";
import { FORGOTTEN_MS } from "../lib/forgotten";
import { ago, count, duration, moment, stepText } from "../lib/format";

/** Where many runs log, something changes all the time. */
const CALM_MS = 1000;
const RUNS_SHOWN = 12;
const MODELS_SHOWN = 8;
const EXPERIMENTS_SHOWN = 8;

export default function HomePage() {
  const found = useResource("home", (abort) =>
    own.get<FindActivityResponse>("activity", { limit: RUNS_SHOWN }, abort),
  );
  useLive({ everything: true }, useCalmReload(found, CALM_MS));
  useEffect(() => {
    document.title = "slipstream";
  }, []);
  const shown = found.value.value;
  if (!shown && found.error.value) return <Failure error={found.error.value} retry={found.reload} />;
  if (!shown) return <Skeleton lines={16} />;
  const ended = [...shown.finished, ...shown.failed]
    .sort((one, other) => (other.end_time ?? 0) - (one.end_time ?? 0))
    .slice(0, RUNS_SHOWN);
  const isNew = !shown.running.length && !ended.length && !shown.models.length;
  if (isNew)
    return (
      <>
        <h1 class="hidden-text">Home</h1>
        <Empty title="This server is ready">
          <FirstSteps />
        </Empty>
      </>
    );
  return (
    <div class="page home">
      <h1 class="hidden-text">Home</h1>
      {found.error.value && <Failure error={found.error.value} retry={found.reload} />}
      <section aria-labelledby="running">
        <h2 id="running">Running now</h2>
        {shown.running.length ? <RunList runs={shown.running} /> : <p class="quiet">Nothing runs now.</p>}
      </section>
      <section aria-labelledby="ended">
        <h2 id="ended">Ended lately</h2>
        {ended.length ? <RunList runs={ended} /> : <p class="quiet">No run has ended yet.</p>}
      </section>
      <section aria-labelledby="models">
        <h2 id="models">Models</h2>
        {shown.models.length ? (
          <ul class="lines">
            {shown.models.slice(0, MODELS_SHOWN).map((model) => (
              <li key={model.name}>
                <a href={pageUrl(["models", model.name])} title={model.name}>
                  {model.name}
                </a>
                <span class="quiet">
                  {[...Object.entries(model.aliases ?? {}), ...Object.entries(model.stages ?? {})]
                    .map(([name, version]) => `${name} ${version}`)
                    .join(", ") || `version ${model.latest_version ?? "none"}`}
                </span>
                <time title={moment(model.last_updated)}>{ago(model.last_updated)}</time>
              </li>
            ))}
          </ul>
        ) : (
          <p class="quiet">No model is registered yet.</p>
        )}
      </section>
      <section aria-labelledby="experiments">
        <h2 id="experiments">Experiments</h2>
        <ul class="lines">
          {shown.experiments.slice(0, EXPERIMENTS_SHOWN).map((each) => (
            <li key={each.experiment_id}>
              <a href={pageUrl(["experiments", each.experiment_id])} title={each.name}>
                {each.name}
              </a>
              <span class="quiet">
                {count(each.runs)} {each.runs === 1 ? "run" : "runs"}
                {each.running > 0 && `, ${count(each.running)} running`}
              </span>
              <time title={moment(each.last_activity)}>{ago(each.last_activity)}</time>
            </li>
          ))}
        </ul>
        <p>
          <a href={pageUrl(["experiments"])}>All experiments</a>
        </p>
      </section>
    </div>
  );
}

const CLOCK_MS = 10_000;

function RunList({ runs }: { runs: readonly RecentRun[] }) {
  const now = useClock(
    CLOCK_MS,
    runs.some((run) => run.end_time == null),
  );
  return (
    <ul class="lines">
      {runs.map((run) => (
        <li key={run.run_id}>
          <span class={`status ${run.status}`}>
            <span class="hidden-text">{run.status.toLowerCase()}</span>
            <a href={pageUrl(["experiments", run.experiment_id, "runs", run.run_id])} title={run.name}>
              {run.name || run.run_id.slice(0, 8)}
            </a>
          </span>
          <span class="quiet" title={[run.experiment_name, run.reason].filter(Boolean).join(" · ")}>
            <a href={pageUrl(["experiments", run.experiment_id])}>{run.experiment_name}</a>
            {run.reason ? ` · ${run.reason}` : ""}
            {run.status === "RUNNING" && run.step != null ? ` · step ${stepText(run.step)}` : ""}
          </span>
          {isForgotten(run, now) ? (
            <strong
              class="silent"
              title={`Started ${moment(run.start_time)}; its client sends no signs of life`}
            >
              nothing logged for {duration(now - (run.logged_time ?? run.start_time))}
            </strong>
          ) : run.end_time == null ? (
            <time title={moment(run.start_time)}>for {duration(now - run.start_time)}</time>
          ) : (
            <time title={moment(run.end_time)}>{ago(run.end_time)}</time>
          )}
        </li>
      ))}
    </ul>
  );
}

const isForgotten = (run: RecentRun, now: number) =>
  run.status === "RUNNING" &&
  run.beat_time == null &&
  now - (run.logged_time ?? run.start_time) > FORGOTTEN_MS;
