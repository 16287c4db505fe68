/** How the scoring servers are that this server was told of. */

import "../styles/models.css";
import { useEffect } from "preact/hooks";
import { useResource } from "../api/resource";
import { CopyBlock } from "../app/copy";
import { Empty, Failure, Skeleton } from "../app/states";
import { count, shortNumber } from "../lib/format";
import { versionUrl } from "../models/marks";
import { readScoringServers, type ScoringServer, type ServedModel } from "../serving/status";

/** Scoring servers tell nobody by themselves, so they are asked; not while nobody looks. */
const ASK_MS = 5000;

export default function ServingPage() {
  const servers = useResource("serving", readScoringServers);
  const found = servers.value.value;
  const hasServers = (found?.length ?? 0) > 0;
  useEffect(() => {
    document.title = "Serving · slipstream";
  }, []);
  useEffect(() => {
    if (!hasServers) return;
    const timer = setInterval(() => {
      // one that does not answer keeps the others waiting for it: that is not given up again and again
      if (!document.hidden && !servers.isLoading.peek()) void servers.reload();
    }, ASK_MS);
    return () => clearInterval(timer);
  }, [hasServers]);
  if (servers.error.value && !found)
    return <Failure error={servers.error.value} retry={() => void servers.reload()} />;
  if (!found) return <Skeleton />;
  if (found.length === 0) return <NoServers />;
  const models = found.flatMap((server) => server.models.map((model) => ({ server, model })));
  return (
    <div class="page models-ui">
      <h1>Serving</h1>
      {servers.error.value && <Failure error={servers.error.value} />}
      <ul class="tiles">
        {found.map((server) => (
          <Tile key={server.name} server={server} />
        ))}
      </ul>
      {models.length > 0 && (
        <section aria-labelledby="served-models">
          <h2 id="served-models">Models that are served</h2>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
          <div class="model-scroll" tabIndex={0} role="region" aria-label="Table of served models">
            <table class="model-table">
              <thead>
                <tr>
                  <th scope="col">Model</th>
                  <th scope="col">Version</th>
                  <th scope="col">Server</th>
                  <th scope="col" class="number">
                    Requests
                  </th>
                  <th scope="col" class="number">
                    Refused
                  </th>
                  <th scope="col" class="number">
                    Failed
                  </th>
                  <th scope="col" class="number">
                    p50
                  </th>
                  <th scope="col" class="number">
                    p95
                  </th>
                  <th scope="col" class="number">
                    Waiting
                  </th>
                  <th scope="col" class="number">
                    Workers
                  </th>
                  <th scope="col" class="number">
                    Restarts
                  </th>
                  <th scope="col" class="number">
                    Tokens
                  </th>
                </tr>
              </thead>
              <tbody>
                {models.map(({ server, model }) => (
                  <ModelLine key={`${server.name} ${model.name}`} server={server} model={model} />
                ))}
              </tbody>
            </table>
          </div>
          <p class="quiet">Numbers are of the live version since it was loaded, and of all clients.</p>
        </section>
      )}
    </div>
  );
}

function Tile({ server }: { server: ScoringServer }) {
  const sum = (of: (model: ServedModel) => number) => server.models.reduce((all, each) => all + of(each), 0);
  const requests = sum((model) => model.requests);
  const failed = sum((model) => model.failed);
  const slowest = Math.max(...server.models.map((model) => model.p95_seconds ?? -1));
  return (
    <li class="tile">
      <h2 class={`health${server.healthy ? "" : " down"}`}>
        {server.name}
        <span class="hidden-text">{server.healthy ? " (well)" : " (not well)"}</span>
      </h2>
      <span class="mono quiet">{server.url}</span>
      {server.error && <span class="worse">{server.error}</span>}
      {server.healthy && (
        <dl class="numbers">
          <div>
            <dt>Models</dt>
            <dd>{server.models.length || "?"}</dd>
          </div>
          {server.has_metrics ? (
            <>
              <div>
                <dt>Requests</dt>
                <dd>{count(requests)}</dd>
              </div>
              <div>
                <dt>Failed</dt>
                <dd class={failed ? "worse" : undefined}>
                  {requests ? `${shortNumber((100 * failed) / requests)} %` : "0"}
                </dd>
              </div>
              {slowest >= 0 && (
                <div>
                  <dt>p95</dt>
                  <dd>{milliseconds(slowest)}</dd>
                </div>
              )}
              <div>
                <dt>Waiting</dt>
                <dd>{count(sum((model) => model.waiting ?? 0))}</dd>
              </div>
            </>
          ) : (
            <div>
              <dt>Answers in</dt>
              <dd>{milliseconds(server.answer_seconds)}</dd>
            </div>
          )}
        </dl>
      )}
    </li>
  );
}

function ModelLine({ server, model }: { server: ScoringServer; model: ServedModel }) {
  return (
    <tr>
      <th scope="row">
        <span class={`health${model.ready === false ? " down" : ""}`}>
          {model.name}
          {model.ready === false && <span class="hidden-text">, not ready</span>}
        </span>
      </th>
      <td>
        {model.version ? <a href={versionUrl(model.name, model.version)}>v{model.version}</a> : "?"}{" "}
        {model.task && <span class="quiet">{model.task}</span>}
      </td>
      <td>{server.name}</td>
      <td class="number">{count(model.requests)}</td>
      <td class="number">{count(model.refused)}</td>
      <td class={`number${model.failed ? " worse" : ""}`}>{count(model.failed)}</td>
      <td class="number">{milliseconds(model.p50_seconds)}</td>
      <td class="number">{milliseconds(model.p95_seconds)}</td>
      <td class="number">{model.waiting ?? ""}</td>
      <td class="number">{model.workers ?? ""}</td>
      <td class={`number${model.restarts ? " worse" : ""}`}>{model.restarts ?? ""}</td>
      <td class="number">{model.completion_tokens ? count(model.completion_tokens) : ""}</td>
    </tr>
  );
}

function milliseconds(seconds: number | null): string {
  if (seconds === null) return "";
  return seconds < 10 ? `${Number((seconds * 1000).toPrecision(3))} ms` : `${shortNumber(seconds)} s`;
}

function NoServers() {
  return (
    <Empty title="No scoring servers are known here">
      <p>
        Serve a model, and name the scoring server when you start this server. Only servers that are named so
        are ever asked.
      </p>
      <CopyBlock
        label="Serve a model"
        text={"slipstream models serve -m models:/house-prices@champion --port 5001"}
      />
      <CopyBlock
        label="Name it to this server"
        text={"slipstream server --serving-url prod=http://127.0.0.1:5001"}
      />
      <p>
        Then this page shows its health, versions, requests, errors and latency, and the page of each version
        has a form to try it. A token or API key for it goes into <code>SLIPSTREAM_SERVING_TOKEN</code>.
      </p>
    </Empty>
  );
}
