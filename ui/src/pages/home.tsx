/** What runs now, what ended lately, which models are in use; on a new server, how to begin. */

import "../styles/home.css";
import { useEffect, useRef } from "preact/hooks";
import { mlflow, own } from "../api/request";
import { useResource } from "../api/resource";
import type {
  ModelOverviewMessage,
  SearchExperimentsResponse,
  SearchModelOverviewsResponse,
} from "../api/schema";
import { FirstSteps } from "../app/first_steps";
import { useLive } from "../app/live";
import { pageUrl } from "../app/router";
import { Empty, Failure, Skeleton } from "../app/states";
import { ago, duration, moment } from "../lib/format";
import { type RunRow, readTable, rowsOf, type TableQuery } from "../runs/table";

/** Where many runs log, something changes all the time. */
const CALM_MS = 1000;
const RUNNING_SHOWN = 10;
const ENDED_SHOWN = 15;
const MODELS_SHOWN = 8;
const EXPERIMENTS_SHOWN = 8;
/** Of the experiments that were used last; older ones are on their own page. */
const EXPERIMENTS_READ = 100;
const REASON = "tags.slipstream.end.reason";

interface Found {
  experiments: { id: string; name: string }[];
  running: RunRow[];
  runningTotal: number;
  ended: RunRow[];
  models: ModelOverviewMessage[];
}

async function read(abort: AbortSignal): Promise<Found> {
  const [listed, models] = await Promise.all([
    mlflow.post<SearchExperimentsResponse>(
      "experiments/search",
      { max_results: EXPERIMENTS_READ, order_by: ["last_update_time DESC"] },
      abort,
    ),
    own.post<SearchModelOverviewsResponse>(
      "models/overview",
      { order_by: ["last_updated_timestamp DESC"], limit: MODELS_SHOWN },
      abort,
    ),
  ]);
  const experiments = (listed.experiments ?? []).map((each) => ({
    id: each.experiment_id,
    name: each.name,
  }));
  const query: TableQuery = {
    experiment_ids: experiments.map((each) => each.id),
    filter: "",
    view_type: "ACTIVE_ONLY",
    order_by: [],
    columns: [REASON],
  };
  const [running, ended] = await Promise.all([
    readTable(
      { ...query, filter: "attributes.status = 'RUNNING'", order_by: ["attributes.start_time DESC"] },
      0,
      RUNNING_SHOWN,
      abort,
    ),
    readTable(
      {
        ...query,
        filter: "attributes.status != 'RUNNING' AND attributes.status != 'SCHEDULED'",
        order_by: ["attributes.end_time DESC"],
      },
      0,
      ENDED_SHOWN,
      abort,
    ),
  ]);
  return {
    experiments,
    running: rowsOf(running),
    runningTotal: running.total,
    ended: rowsOf(ended),
    models: models.models,
  };
}

export default function HomePage() {
  const found = useResource("home", read);
  const calm = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useLive({ models: true, everything: true }, () => {
    calm.current ??= setTimeout(() => {
      calm.current = undefined;
      void found.reload();
    }, CALM_MS);
  });
  useEffect(() => () => clearTimeout(calm.current), []);
  useEffect(() => {
    document.title = "slipstream";
  }, []);
  const shown = found.value.value;
  if (!shown && found.error.value) return <Failure error={found.error.value} retry={found.reload} />;
  if (!shown) return <Skeleton lines={16} />;
  const isNew = !shown.running.length && !shown.ended.length && !shown.models.length;
  if (isNew)
    return (
      <>
        <h1 class="hidden-text">Home</h1>
        <Empty title="This server is ready">
          <FirstSteps />
        </Empty>
      </>
    );
  const names = new Map(shown.experiments.map((each) => [each.id, each.name]));
  return (
    <div class="page home">
      <h1 class="hidden-text">Home</h1>
      {found.error.value && <Failure error={found.error.value} retry={found.reload} />}
      <section aria-labelledby="running">
        <h2 id="running">Running now{shown.runningTotal > 0 && <small> {shown.runningTotal}</small>}</h2>
        {shown.running.length ? (
          <RunList runs={shown.running} names={names} />
        ) : (
          <p class="quiet">Nothing runs now.</p>
        )}
      </section>
      <section aria-labelledby="ended">
        <h2 id="ended">Ended lately</h2>
        {shown.ended.length ? (
          <RunList runs={shown.ended} names={names} />
        ) : (
          <p class="quiet">No run has ended yet.</p>
        )}
      </section>
      <section aria-labelledby="models">
        <h2 id="models">Models</h2>
        {shown.models.length ? (
          <ul class="lines">
            {shown.models.map((model) => (
              <li key={model.name}>
                <a href={pageUrl(["models", model.name])}>{model.name}</a>
                <span class="quiet">
                  {model.leading ? `version ${model.leading.version}, ${model.leading.why}` : ""}
                </span>
                <time title={moment(model.last_updated_timestamp)}>{ago(model.last_updated_timestamp)}</time>
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
            <li key={each.id}>
              <a href={pageUrl(["experiments", each.id])}>{each.name}</a>
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

function RunList({ runs, names }: { runs: readonly RunRow[]; names: ReadonlyMap<string, string> }) {
  return (
    <ul class="lines">
      {runs.map((run) => {
        const experiment = run.experiment ?? [...names.keys()][0] ?? "0";
        const reason = run.values[0];
        const at = run.end ?? run.start;
        return (
          <li key={run.id}>
            <span class={`status ${run.status}`}>
              <span class="hidden-text">{run.status.toLowerCase()}</span>
              <a href={pageUrl(["experiments", experiment, "runs", run.id])}>
                {run.name || run.id.slice(0, 8)}
              </a>
            </span>
            <span class="quiet">
              <a href={pageUrl(["experiments", experiment])}>{names.get(experiment) ?? experiment}</a>
              {reason ? ` · ${String(reason)}` : ""}
            </span>
            {at !== null && (
              <time title={moment(at)}>
                {run.end === null ? `for ${duration(Date.now() - (run.start ?? Date.now()))}` : ago(at)}
              </time>
            )}
          </li>
        );
      })}
    </ul>
  );
}
