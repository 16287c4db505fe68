/** What a run is, and what can be done with it. */

import { useMemo, useState } from "preact/hooks";
import { mlflow } from "../api/request";
import { CopyButton } from "../app/copy";
import { pageUrl } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { TagList } from "../app/tag_list";
import { tell, tellFailure } from "../app/toasts";
import { ago, duration, moment } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Link } from "../markdown/markdown";
import { isOwnTag, putTag, type RunFacts } from "./run_data";
import { ShowAsCode } from "./show_as_code";

interface Props {
  readonly run: RunFacts;
  readonly experimentName: string | undefined;
  readonly lastSign: number | undefined;
  readonly onChange: () => void;
}

export function RunHeader({ run, experimentName, lastSign, onChange }: Props) {
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
  const rename = async (name: string) => {
    setRenaming(false);
    const before = run.name;
    if (name.trim() === "" || name === before) return;
    const put = async (run_name: string) => {
      await mlflow.post("runs/update", { run_id: run.id, run_name }).catch(tellFailure);
      onChange();
    };
    await put(name);
    tell("The run has a new name.", { undo: () => void put(before) });
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
        <a href={pageUrl(["experiments", run.experiment])}>{visibleLine(experimentName ?? run.experiment)}</a>
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
  return (
    <>
      <div class="run-facts">
        <span class={`status ${run.status}`}>{run.status.toLowerCase()}</span>
        {isRunning && lastSign !== undefined && (
          <span class="quiet">
            last sign of life <time title={moment(lastSign)}>{ago(lastSign)}</time>
          </span>
        )}
        {run.start !== undefined && (
          <span>
            <span class="quiet">started</span> <time title={moment(run.start)}>{ago(run.start)}</time>
          </span>
        )}
        {run.start !== undefined && (run.end !== undefined || isRunning) && (
          <span>
            <span class="quiet">{isRunning ? "for" : "took"}</span>{" "}
            {duration((run.end ?? Date.now()) - run.start)}
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

const shortSource = (source: string) =>
  (source.includes("://") ? source : source.slice(source.lastIndexOf("/") + 1)) || source;

/** What clients that do not know their user send is no name. */
const known = (user: string | undefined) => (user === "unknown" ? undefined : user);
