/** One version of a model: what it takes and gives, where it comes from, where it is served; to be tried here. */

import "../styles/models.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { serverAddress } from "../api/request";
import { useResource } from "../api/resource";
import { useCalm } from "../app/calm";
import { CopyBlock, CopyButton } from "../app/copy";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { go, pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { TagList } from "../app/tag_list";
import { ago, bytes, moment, shortNumber } from "../lib/format";
import { samples } from "../models/code";
import { DeleteVersion } from "../models/delete_version";
import { Described } from "../models/described";
import { AliasMark, StageMark, versionUrl } from "../models/marks";
import { type ModelCard, tagsOf, type VersionRow } from "../models/messages";
import { isMove } from "../models/moves";
import { dropAlias, Promote } from "../models/promote";
import {
  describeVersion,
  putTag,
  type RunNumbers,
  readCard,
  readModel,
  readRun,
  readVersion,
} from "../models/requests";
import { formOf } from "../models/signature";
import { SignatureTable } from "../models/signature_table";
import { MoveStage } from "../models/stages";
import { Timeline } from "../models/timeline";
import { TryIt } from "../models/try_it";
import { placesOf, readScoringServers, type ScoringServer } from "../serving/status";

/** Files of a model may be far away: then the rest is shown without them. */
const CARD_PATIENCE_MS = 800;
const CALM_MS = 500;
/** A page that renames or deletes what it shows leaves; it must not read the old name again. */
const LEAVING_MS = 200;
/** A large model on a busy machine takes minutes to start. */
const SWAP_MS = 300_000;
const SOON_MS = 30_000;
const SOON_LOOK_MS = 2000;
const LATER_LOOK_MS = 10_000;

export default function ModelVersionPage({ at }: PageProps) {
  const name = at.model ?? "";
  const number = at.version ?? "";
  const whole = useResource(`${name}/${number}`, async (abort) => {
    const [row, model] = await Promise.all([readVersion(name, number, abort), readModel(name, abort)]);
    return { row, model };
  });
  const card = useResource(`${name}/${number}`, (abort) => readCard(name, number, abort));
  const servers = useResource("servers", readScoringServers);
  const runId = whole.value.value?.row.run?.run_id;
  const run = useResource(runId ?? "", async (abort) => (runId ? readRun(runId, abort) : undefined));
  const [open, setOpen] = useState<"promote" | "stage" | "delete">();
  const [isEditing, setEditing] = useState(false);
  const refresh = () => {
    void whole.reload();
    void servers.reload();
  };
  // what the card tells is in the middle of the page: it would push away what one begins to read
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), CARD_PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [name, number]);
  const [movedAt, setMovedAt] = useState(0);
  // scoring servers look a few seconds later whether an alias has moved, then start the version's workers
  useEffect(() => {
    if (!movedAt) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      const since = Date.now() - movedAt;
      if (since > SWAP_MS) return;
      timer = setTimeout(
        () => {
          if (!servers.isLoading.peek()) void servers.reload();
          look();
        },
        since < SOON_MS ? SOON_LOOK_MS : LATER_LOOK_MS,
      );
    };
    look();
    return () => clearTimeout(timer);
  }, [movedAt]);
  const refreshSoon = useCalm(
    () => {
      void whole.reload();
      if (servers.value.peek()?.length) setMovedAt(Date.now());
    },
    CALM_MS,
    LEAVING_MS,
  );
  useLive({ models: true }, (changes) => {
    if (changes.models.has(name) || changes.isReset) refreshSoon();
  });
  const shortcuts = useMemo(
    () => [
      { keys: "p", what: "give it an alias", run: () => setOpen("promote") },
      { keys: "s", what: "move it to a stage", run: () => setOpen("stage") },
      { keys: "e", what: "edit the description", run: () => setEditing(true) },
      {
        keys: "t",
        what: "try it",
        run: () =>
          document
            .querySelector<HTMLElement>("#try :is(fieldset, .send, label) :is(input, textarea)")
            ?.focus(),
      },
      { keys: "u", what: "up to the model", run: () => go(pageUrl(["models", name])) },
    ],
    [name],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = `${name} v${number} · slipstream`;
  }, [name, number]);
  const error = whole.error.value;
  const found = whole.value.value;
  if (error?.status === 404 || error?.status === 400)
    return (
      <Empty title={`There is no version ${number} of ${name}`}>
        <p>
          <a href={pageUrl(["models", name])}>All versions of {name}</a>
        </p>
      </Empty>
    );
  if (error && !found) return <Failure error={error} retry={refresh} />;
  const isCardComing = !card.value.value && !card.error.value;
  if (!found || (isCardComing && !isLate)) return <Skeleton />;
  const { row, model } = found;
  const { version } = row;
  const aliases = model.aliases ?? [];
  const mine = aliases.filter((each) => each.version === number);
  const said = card.value.value;
  return (
    <div class="models-ui version-page">
      <div class="head-line">
        <nav class="crumbs" aria-label="Where this is">
          <a href={pageUrl(["models"])}>Models</a>
          <span aria-hidden="true">/</span>
          <a href={pageUrl(["models", name])}>{name}</a>
          <span aria-hidden="true">/</span>
        </nav>
        <h1>Version {number}</h1>
        <span class="marks">
          {mine.map((each) => (
            <span key={each.alias} class="model-tag">
              <AliasMark alias={each.alias} />
              <button
                type="button"
                class="plain"
                aria-label={`Take @${each.alias} off`}
                onClick={() => void dropAlias(name, each, refresh)}
              >
                ×
              </button>
            </span>
          ))}
          <StageMark stage={version.current_stage} />
          {version.status !== "READY" && <span class="worse">{version.status.toLowerCase()}</span>}
        </span>
        <button type="button" onClick={() => setOpen("promote")}>
          Alias… <kbd>p</kbd>
        </button>
        <button type="button" onClick={() => setOpen("stage")}>
          Stage… <kbd>s</kbd>
        </button>
        {aliases
          .filter((each) => each.version !== number)
          .slice(0, 3)
          .map((each) => (
            <a
              key={each.alias}
              class="button"
              href={pageUrl(["models", name], { compare: `${each.version},${number}` })}
            >
              Compare with @{each.alias}
            </a>
          ))}
        <button type="button" onClick={() => setOpen("delete")}>
          Delete
        </button>
      </div>
      <div class="columns">
        <div>
          <Described
            text={version.description ?? ""}
            isEditing={isEditing}
            onEdit={setEditing}
            onSave={async (text) => {
              await describeVersion(name, number, text);
              await whole.reload();
            }}
          />
          <section aria-labelledby="signature">
            <h2 id="signature">Signature</h2>
            {said ? <SignatureTable card={said} /> : <CardMissing card={card} />}
          </section>
          {said && (
            <section id="try" aria-labelledby="try-title" class="try">
              <h2 id="try-title">Try it</h2>
              <TryIt name={name} version={number} card={said} servers={servers} />
            </section>
          )}
          <section aria-labelledby="code">
            <h2 id="code">Use it</h2>
            <CodeSamples name={name} version={number} alias={mine[0]?.alias} card={said} />
          </section>
          {said && said.requirements.length > 0 && (
            <section aria-labelledby="requirements">
              <h2 id="requirements">Requirements</h2>
              <CopyBlock label="Lines of requirements.txt" text={said.requirements.join("\n")} />
            </section>
          )}
          {said && said.files.length > 0 && <Files card={said} />}
        </div>
        <div>
          <About row={row} card={said} run={run.value.value} />
          <section aria-labelledby="tags">
            <h2 id="tags">Tags</h2>
            <TagList
              tags={[...tagsOf(version.tags)].filter(([key]) => !isMove(key))}
              put={(key, value) => putTag(name, number, key, value).then(refresh)}
            />
          </section>
          <ServedAt servers={servers.value.value} name={name} version={number} />
          {run.value.value && run.value.value.metrics.size > 0 && <Metrics run={run.value.value} />}
          <section aria-labelledby="timeline">
            <h2 id="timeline">Timeline</h2>
            <Timeline row={row} card={said} />
          </section>
        </div>
      </div>
      {open === "promote" && (
        <Promote
          name={name}
          version={number}
          aliases={aliases}
          onClose={() => setOpen(undefined)}
          onDone={() => {
            refresh();
            setMovedAt(Date.now());
          }}
        />
      )}
      {open === "stage" && (
        <MoveStage version={version} onClose={() => setOpen(undefined)} onDone={refresh} />
      )}
      {open === "delete" && (
        <DeleteVersion
          row={row}
          onClose={() => setOpen(undefined)}
          onDone={() => go(pageUrl(["models", name]))}
        />
      )}
    </div>
  );
}

function CardMissing({ card }: { card: ReturnType<typeof useResource<ModelCard>> }) {
  const error = card.error.value;
  if (!error) return <Skeleton lines={4} />;
  // files that are elsewhere are no fault of this page
  if (error.status === 404 || error.status === 400) return <p class="quiet">{error.message}</p>;
  return <Failure error={error} retry={() => void card.reload()} />;
}

interface SamplesProps {
  readonly name: string;
  readonly version: string;
  readonly alias: string | undefined;
  readonly card: ModelCard | undefined;
}

function CodeSamples({ name, version, alias, card }: SamplesProps) {
  const all = samples(serverAddress(), name, version, alias, card && formOf(card));
  const [title, setTitle] = useState("Python");
  const shown = all.find((each) => each.title === title) ?? all[0];
  return (
    <>
      <div class="buttons" role="group" aria-label="In which language">
        {all.map((each) => (
          <button
            key={each.title}
            type="button"
            aria-pressed={each.title === shown?.title}
            onClick={() => setTitle(each.title)}
          >
            {each.title}
          </button>
        ))}
      </div>
      {shown && <CopyBlock key={shown.title} label={shown.title} text={shown.text} />}
    </>
  );
}

function Files({ card }: { card: ModelCard }) {
  return (
    <section aria-labelledby="files">
      <h2 id="files">Files</h2>
      <div>
        <table class="model-table">
          <caption class="hidden-text">Files</caption>
          <thead>
            <tr>
              <th scope="col">Path</th>
              <th scope="col" class="number">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {card.files.map((file) => (
              <tr key={file.path}>
                <th scope="row" class="mono">
                  {file.path}
                </th>
                <td class="number">{file.size === null ? "" : bytes(file.size)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {card.has_more_files && <p class="quiet">There are more files.</p>}
    </section>
  );
}

interface AboutProps {
  readonly row: VersionRow;
  readonly card: ModelCard | undefined;
  readonly run: RunNumbers | undefined;
}

function About({ row, card, run }: AboutProps) {
  const { version } = row;
  const link = row.run;
  const modelId = card?.model_id ?? /^models:\/(m-[0-9a-f]+)$/.exec(version.source)?.[1];
  const size = card?.size ?? undefined;
  return (
    <section aria-labelledby="about">
      <h2 id="about">About</h2>
      <dl class="model-facts">
        <dt>Registered</dt>
        <dd>
          <time title={moment(version.creation_timestamp)}>{ago(version.creation_timestamp)}</time>
          {link?.user_id ? ` by ${link.user_id}` : ""}
        </dd>
        {version.last_updated_timestamp !== version.creation_timestamp && (
          <>
            <dt>Changed</dt>
            <dd>
              <time title={moment(version.last_updated_timestamp)}>
                {ago(version.last_updated_timestamp)}
              </time>
            </dd>
          </>
        )}
        {link ? (
          <>
            <dt>Run</dt>
            <dd>
              <a href={pageUrl(["experiments", link.experiment_id, "runs", link.run_id])}>
                {link.run_name || link.run_id}
              </a>
              {link.lifecycle_stage === "deleted" && <span class="worse"> in the trash</span>}
            </dd>
          </>
        ) : (
          version.run_id && (
            <>
              <dt>Run</dt>
              <dd class="mono">{version.run_id}</dd>
            </>
          )
        )}
        {run && run.datasets.length > 0 && (
          <>
            <dt>Data</dt>
            <dd>
              {run.datasets.map((each) => (
                <div key={`${each.name} ${each.digest} ${each.context}`}>
                  {each.name} <span class="mono quiet">{each.digest}</span>{" "}
                  {each.context && <span class="quiet">for {each.context}</span>}
                </div>
              ))}
            </dd>
          </>
        )}
        {modelId && (
          <>
            <dt>Logged model</dt>
            <dd class="mono">
              {modelId}
              <CopyButton text={modelId} label="Copy the id of the logged model" />
            </dd>
          </>
        )}
        <dt>Source</dt>
        <dd class="mono">{version.source}</dd>
        {card?.task && (
          <>
            <dt>Task</dt>
            <dd>{card.task}</dd>
          </>
        )}
        {card && (
          <>
            <dt>Flavors</dt>
            <dd>{Object.keys(card.flavors).join(", ") || "none"}</dd>
          </>
        )}
        {card?.python && (
          <>
            <dt>Python</dt>
            <dd>{card.python}</dd>
          </>
        )}
        {size !== undefined && (
          <>
            <dt>Size</dt>
            <dd>{bytes(size)}</dd>
          </>
        )}
        {card && (card.slipstream_version || card.mlflow_version) && (
          <>
            <dt>Made with</dt>
            <dd>
              {[
                card.slipstream_version && `slipstream ${card.slipstream_version}`,
                card.mlflow_version && `MLflow format ${card.mlflow_version}`,
              ]
                .filter(Boolean)
                .join(", ")}
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

interface ServedProps {
  readonly servers: readonly ScoringServer[] | undefined;
  readonly name: string;
  readonly version: string;
}

function ServedAt({ servers, name, version }: ServedProps) {
  const places = placesOf(servers ?? [], name);
  if (!servers || servers.length === 0) return null;
  return (
    <section aria-labelledby="served">
      <h2 id="served">Served</h2>
      {places.length === 0 ? (
        <p class="quiet">By none of the scoring servers that this server knows.</p>
      ) : (
        <dl class="model-facts">
          {places.map(({ server, model }) => (
            <div key={server.name} class="contents">
              <dt>
                <a href={pageUrl(["serving"])}>{server.name}</a>
              </dt>
              <dd>
                {model.version === version ? (
                  "this version"
                ) : model.version ? (
                  <a href={versionUrl(name, model.version)}>version {model.version}</a>
                ) : (
                  "a model of this name"
                )}
                {model.requests > 0 && <span class="quiet">, {shortNumber(model.requests)} requests</span>}
                {model.p95_seconds !== null && (
                  <span class="quiet">, p95 {shortNumber(model.p95_seconds * 1000)} ms</span>
                )}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

const SHOWN_METRICS = 30;

function Metrics({ run }: { run: RunNumbers }) {
  const shown = [...run.metrics]
    .filter(([key]) => !key.startsWith("system/"))
    .sort(([a], [b]) => a.localeCompare(b));
  return (
    <section aria-labelledby="metrics">
      <h2 id="metrics">Metrics of the run</h2>
      <table class="model-table">
        <tbody>
          {shown.slice(0, SHOWN_METRICS).map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td class="number">{shortNumber(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length > SHOWN_METRICS && (
        <p class="quiet">{shown.length - SHOWN_METRICS} more are on the run's page.</p>
      )}
    </section>
  );
}
