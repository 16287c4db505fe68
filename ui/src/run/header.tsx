/** What a run is, and what can be done with it. */

import { useMemo, useRef, useState } from "preact/hooks";
import { mlflow } from "../api/request";
import { useClock } from "../app/clock";
import { CopyButton } from "../app/copy";
import { pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { TagList } from "../app/tag_list";
import { tell, tellFailure } from "../app/toasts";
import { FORGOTTEN_MS } from "../lib/forgotten";
import { ago, count, duration, moment } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Link } from "../markdown/markdown";
import { progressOf, roughly, timeLeft } from "./progress";
import { isOwnTag, putTag, type RunFacts } from "./run_data";
import { ShowAsCode } from "./show_as_code";

const CLOCK_MS = 5000;
/** Signs of life come every 10 s; the server takes a run for dead after 40. */
const SILENT_MS = 25_000;
interface Props {
  readonly run: RunFacts;
  readonly lastSign: number | undefined;
  readonly onChange: () => void;
}

export function RunHeader({ run, lastSign, onChange }: Props) {
  const [isRenaming, setRenaming] = useState(false);
  const [isCode, setCode] = useState(false);
  const shortcuts = useMemo(
    () => [
      { keys: "r", what: "rename the run", run: () => setRenaming(true) },
      { keys: "s", what: "show as code", run: () => setCode(true) },
    ],
    [],
  );
  useShortcuts(shortcuts);
  const isNaming = useRef(false);
  const rename = async (name: string) => {
    const before = run.name;
    if (name.trim() === "" || name === before) {
      setRenaming(false);
      return;
    }
    if (isNaming.current) return; // Enter pressed twice
    isNaming.current = true;
    const put = async (run_name: string) => {
      await mlflow.post("runs/update", { run_id: run.id, run_name });
      onChange();
    };
    try {
      await put(name);
      setRenaming(false); // what could not be kept stays to be sent again
      tell("The run has a new name.", { undo: () => void put(before).catch(tellFailure) });
    } catch (error) {
      tellFailure(error);
    }
    isNaming.current = false;
  };
  const move = async (what: "delete" | "restore") => {
    await mlflow.post(`runs/${what}`, { run_id: run.id });
    onChange();
  };
  const remove = async () => {
    try {
      await move("delete");
      tell("The run is in the trash.", { undo: () => void move("restore").catch(tellFailure) });
    } catch (error) {
      tellFailure(error);
    }
  };
  return (
    <header class="run-header">
      <p class="crumbs">
        <a href={pageUrl(["experiments"])}>Experiments</a>
        <span aria-hidden="true">/</span>
        <a href={pageUrl(["experiments", run.experiment])}>
          {visibleLine(run.experimentName || run.experiment)}
        </a>
      </p>
      <div class="run-title">
        {isRenaming ? (
          <form
            aria-labelledby="renamed"
            onSubmit={(event) => {
              event.preventDefault();
              void rename(String(new FormData(event.currentTarget).get("name")));
            }}
          >
            <h1 id="renamed" class="hidden-text">
              Rename {visibleLine(run.name)}
            </h1>
            <input
              name="name"
              aria-label="Name of the run"
              defaultValue={run.name}
              autocomplete="off"
              ref={(input) => {
                if (input && document.activeElement !== input && !input.dataset.seen) {
                  input.dataset.seen = "1";
                  input.focus();
                  input.select();
                }
              }}
              onKeyDown={(event) => event.key === "Escape" && setRenaming(false)}
            />
            <button type="submit">Save</button>
            <button type="button" onClick={() => setRenaming(false)}>
              Cancel
            </button>
          </form>
        ) : (
          <>
            <h1>{visibleLine(run.name) || run.id.slice(0, 8)}</h1>
            <button
              type="button"
              class="plain"
              aria-label="Rename"
              title="Rename (r)"
              onClick={() => setRenaming(true)}
            >
              ✎
            </button>
          </>
        )}
        <span class="stretch" />
        <div class="run-actions">
          <button type="button" onClick={() => setCode(true)}>
            Show as code
          </button>
          {run.isDeleted ? (
            <button type="button" onClick={() => move("restore").catch(tellFailure)}>
              Restore
            </button>
          ) : (
            <button type="button" onClick={remove}>
              Delete
            </button>
          )}
        </div>
      </div>
      {run.isDeleted && (
        <p class="cut" role="note">
          This run is in the trash.
        </p>
      )}
      <Facts run={run} lastSign={lastSign} />
      <TagList
        tags={[...run.tags].filter(([key]) => isOwnTag(key))}
        put={(key, value) => putTag(run.id, key, value).then(onChange)}
      />
      {isCode && <ShowAsCode run={run} onClose={() => setCode(false)} />}
    </header>
  );
}

function Facts({ run, lastSign }: { run: RunFacts; lastSign: number | undefined }) {
  const reason = run.tags.get("slipstream.end.reason");
  const noticedBy = run.tags.get("slipstream.end.noticed_by");
  const user = run.tags.get("mlflow.user") || known(run.raw.info.user_id);
  const source = run.tags.get("mlflow.source.name");
  const commit = run.tags.get("mlflow.source.git.commit");
  const isRunning = run.status === "RUNNING";
  const now = useClock(CLOCK_MS, isRunning);
  return (
    <>
      <div class="run-facts">
        <span class={`status ${run.status}`}>{run.status.toLowerCase()}</span>
        {isRunning && <LastSign beat={lastSign} run={run} now={now} />}
        {isRunning && <TimeLeft run={run} now={now} />}
        {run.start !== undefined && (
          <span>
            <span class="quiet">started</span> <time title={moment(run.start)}>{ago(run.start)}</time>
          </span>
        )}
        {run.start !== undefined && (run.end !== undefined || isRunning) && (
          <span>
            <span class="quiet">{isRunning ? "for" : "took"}</span> {duration((run.end ?? now) - run.start)}
          </span>
        )}
        {user && (
          <span>
            <span class="quiet">by</span> {visibleLine(user)}
          </span>
        )}
        {source && (
          <span class="fact-source" title={visibleLine(source)}>
            <span class="quiet">from</span>{" "}
            <Link href={source.includes("://") ? source : ""}>{visibleLine(shortSource(source))}</Link>
            {commit && <span class="mono quiet"> {visibleLine(commit.slice(0, 8))}</span>}
          </span>
        )}
        <span class="mono quiet run-id">
          {run.id}
          <CopyButton text={run.id} label="Copy the run's id" />
        </span>
      </div>
      {reason && (
        <p class="death" role="note">
          <strong>{visibleLine(reason)}</strong>
          {noticedBy && <span class="quiet"> Noticed by the {visibleLine(noticedBy)}.</span>}
        </p>
      )}
    </>
  );
}

/** Whether it lives: the last sign of life, or of clients that send none the last thing that it logged. */
function LastSign({ beat, run, now }: { beat: number | undefined; run: RunFacts; now: number }) {
  if (beat !== undefined) {
    if (now - beat < SILENT_MS)
      return (
        <span class="quiet">
          last sign of life <time title={moment(beat)}>{ago(beat, now)}</time>
        </span>
      );
    return (
      <strong class="silent" title={`The last sign of life was at ${moment(beat)}`}>
        no sign of life for {duration(now - beat)}
      </strong>
    );
  }
  const logged = run.metrics.reduce((latest, metric) => Math.max(latest, metric.time), run.start ?? now);
  if (now - logged < FORGOTTEN_MS) return null;
  return (
    <strong class="silent" title="Its client sends no signs of life, so it may be over all the same">
      nothing logged for {duration(now - logged)}
    </strong>
  );
}

/** When it will be done, where it says how far it goes. */
function TimeLeft({ run, now }: { run: RunFacts; now: number }) {
  const progress = progressOf(run);
  if (!progress) return null;
  const left = timeLeft(progress, run.start, now);
  return (
    <span title={`by ${progress.by}`}>
      <span class="quiet">{progress.what}</span> {count(progress.done)} <span class="quiet">of</span>{" "}
      {count(progress.total)}
      {left !== undefined && <span class="quiet">, some {roughly(left)} left</span>}
    </span>
  );
}

const shortSource = (source: string) =>
  (source.includes("://") ? source : source.slice(source.lastIndexOf("/") + 1)) || source;

/** What clients that do not know their user send is no name. */
const known = (user: string | undefined) => (user === "unknown" ? undefined : user);
