/** The code and the environment of a run, as they were captured, and how to get back to them. */

import { useResource } from "../api/resource";
import { CopyBlock } from "../app/copy";
import { pageUrl } from "../app/router";
import { Empty, Failure, Skeleton } from "../app/states";
import { Code } from "../artifacts/code";
import { DiffView } from "../artifacts/diff_view";
import { JsonTree } from "../artifacts/json_tree";
import { filesOfRun, readText } from "../artifacts/source";
import { bytes } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Link } from "../markdown/markdown";
import { reproduceCommands } from "./reproduce";
import type { RunFacts } from "./run_data";
import { CapturedTags } from "./tags";

const MOST = 1_100_000;

export function useContext(run: RunFacts) {
  return useResource(run.id, async (abort) => {
    const source = filesOfRun(run.id);
    // one listing first, so that nothing is asked for that is not there
    const names = new Set(
      (await source.list("context", abort).catch(missingIsEmpty)).map((entry) => entry.path),
    );
    const text = (name: string) =>
      names.has(`context/${name}`) ? readText(source, `context/${name}`, MOST, abort) : undefined;
    const [patch, lock, leftOut, host] = await Promise.all([
      text("diff.patch"),
      text("requirements.lock"),
      text("left_out.txt"),
      text("host.json"),
    ]);
    return { names, patch, lock, leftOut, host };
  });
}

function missingIsEmpty(error: { status?: number }): never[] {
  if (error.status === 404 || error.status === 400) return [];
  throw error;
}

export function CodeTab({ run }: { run: RunFacts }) {
  const context = useContext(run);
  const found = context.value.value;
  if (context.error.value) return <Failure error={context.error.value} retry={context.reload} />;
  if (!found) return <Skeleton />;
  const commands = reproduceCommands(run, {
    hasPatch: found.names.has("context/diff.patch"),
    hasUntracked: found.names.has("context/untracked.zip"),
    hasLock: found.names.has("context/requirements.lock"),
  });
  const file = (name: string) =>
    pageUrl(["experiments", run.experiment, "runs", run.id, "artifacts"], { file: `context/${name}` });
  const commit = run.tags.get("mlflow.source.git.commit");
  if (!commands && found.names.size === 0)
    return (
      <Empty title="Nothing of the code was captured">
        <p>
          Runs that slipstream's client starts in a script keep the Git commit, the changes, the command line
          and the installed packages. See SLIPSTREAM_CAPTURE in the documentation.
        </p>
        <CapturedTags run={run} />
      </Empty>
    );
  return (
    <div class="stack">
      {commands && (
        <section aria-labelledby="reproduce-title">
          <h2 id="reproduce-title">Run it again</h2>
          <CopyBlock label="Commands" text={commands} />
          <p class="quiet">Commands and names come from the run: read them before you run them.</p>
        </section>
      )}
      <section aria-labelledby="git-title">
        <h2 id="git-title">Source</h2>
        <dl class="facts">
          <Fact name="program" value={run.tags.get("mlflow.source.name")} />
          <Fact name="commit" value={commit} />
          <Fact name="branch" value={run.tags.get("mlflow.source.git.branch")} />
          <Fact name="remote" value={run.tags.get("mlflow.source.git.repoURL")} isLink />
          <Fact name="changed" value={changes(run.tags.get("mlflow.source.git.dirty"))} />
          <Fact name="Python" value={run.tags.get("slipstream.python")} />
          <Fact name="machine" value={run.tags.get("slipstream.host")} />
        </dl>
      </section>
      <section aria-labelledby="patch-title">
        <h2 id="patch-title">Changes since the commit</h2>
        {found.patch ? (
          <>
            {found.patch.isCut && (
              <p class="cut" role="note">
                The first {bytes(MOST)} of {bytes(found.patch.size)}.
              </p>
            )}
            <DiffView text={found.patch.text} />
          </>
        ) : (
          <p class="quiet">No patch was captured.</p>
        )}
        {found.names.has("context/untracked.zip") && (
          <p>
            New files are in <a href={file("untracked.zip")}>untracked.zip</a>.
          </p>
        )}
        {found.names.has("context/notebook.ipynb") && (
          <p>
            The notebook is <a href={file("notebook.ipynb")}>notebook.ipynb</a>.
          </p>
        )}
        {found.leftOut && (
          <details>
            <summary>What was left out, and why</summary>
            <Code text={found.leftOut.text} language="" label="Left out" />
          </details>
        )}
      </section>
      <section aria-labelledby="environment-title">
        <h2 id="environment-title">Environment</h2>
        {found.lock ? (
          <details open>
            <summary>Packages (requirements.lock)</summary>
            <Code text={found.lock.text} language="txt_requirements" label="Packages" />
          </details>
        ) : (
          <p class="quiet">The installed packages were not captured.</p>
        )}
        {found.host && (
          <details>
            <summary>Machine</summary>
            <JsonTree value={parsed(found.host.text)} />
          </details>
        )}
        <CapturedTags run={run} />
      </section>
    </div>
  );
}

function changes(dirty: string | undefined): string | undefined {
  if (dirty === undefined) return undefined;
  return dirty === "true" ? "yes" : "no";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function Fact({ name, value, isLink }: { name: string; value: string | undefined; isLink?: boolean }) {
  if (!value) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd class="mono">{isLink ? <Link href={value}>{visibleLine(value)}</Link> : visibleLine(value)}</dd>
    </div>
  );
}
