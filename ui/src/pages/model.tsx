/** One registered model: what it is, its versions, two of them compared, aliases moved. */

import "../styles/models.css";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { ApiError } from "../api/request";
import { useResource } from "../api/resource";
import { useCalm } from "../app/calm";
import { CopyBlock } from "../app/copy";
import { useLive } from "../app/live";
import type { PageProps } from "../app/pages";
import { go, pageUrl, query, setQuery, url } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { TagList } from "../app/tag_list";
import { tell } from "../app/toasts";
import { Rows } from "../grid/rows";
import { useRows } from "../grid/use_rows";
import { DeleteVersion } from "../models/delete_version";
import { Described } from "../models/described";
import { AliasMark, versionUrl } from "../models/marks";
import { tagsOf, type VersionRow } from "../models/messages";
import { isMove } from "../models/moves";
import { DeleteModel, RenameModel } from "../models/naming";
import { dropAlias, Promote } from "../models/promote";
import { describeModel, putTag, readModel, readVersions, readWhole } from "../models/requests";
import { MoveStage } from "../models/stages";
import { VersionDifferences } from "../models/version_differences";
import { chosenNow, VersionsGrid } from "../models/versions_grid";

type Open = "rename" | "delete" | { what: "promote" | "stage" | "delete"; row: VersionRow };
const NO_METRICS: readonly string[] = [];
const CALM_MS = 500;
/** A page that renames or deletes what it shows leaves; it must not read the old name again. */
const LEAVING_MS = 200;

export default function ModelPage({ at }: PageProps) {
  const name = at.model ?? "";
  const model = useResource(name, (abort) => readModel(name, abort));
  const order = query.value.get("order") ?? "";
  const chosenText = query.value.get("chosen") ?? "";
  const chosen = useMemo(() => chosenText.split(",").filter(Boolean), [chosenText]);
  const compared = (query.value.get("compare") ?? "").split(",");
  const [open, setOpen] = useState<Open>();
  const [isEditing, setEditing] = useState(false);
  const [metrics, setMetrics] = useState(NO_METRICS);
  const rows = useMemo(
    () =>
      new Rows<VersionRow>(async (offset, limit, abort) => {
        const order_by = [`version_number ${order === "oldest" ? "ASC" : "DESC"}`];
        const page = await readVersions({ name, order_by, offset, limit }, abort);
        const keys = new Set<string>();
        for (const row of page.versions) for (const key of Object.keys(row.run?.metrics ?? {})) keys.add(key);
        if (offset === 0) setMetrics([...keys].sort((a, b) => a.localeCompare(b)).slice(0, 12));
        return { total: page.total, rows: page.versions };
      }),
    [name, order],
  );
  const refresh = useCallback(() => {
    rows.refresh();
    void model.reload();
  }, [rows]);
  const refreshSoon = useCalm(refresh, CALM_MS, LEAVING_MS);
  useLive({ models: true }, (changes) => {
    if (changes.models.has(name) || changes.isReset) refreshSoon();
  });
  const compare = () => {
    const [first, second] = chosenNow();
    if (first && second) setQuery({ compare: [first, second].sort((a, b) => +a - +b).join(",") }, {});
    else tell("Select two versions with x, then compare them with c.");
  };
  const shortcuts = useMemo(
    () => [
      {
        keys: "x",
        what: "select the version",
        run: () => document.querySelector<HTMLElement>(".grid")?.focus(),
      },
      { keys: "c", what: "compare the two selected versions", run: compare },
      { keys: "e", what: "edit the description", run: () => setEditing(true) },
      { keys: "r", what: "rename the model", run: () => setOpen("rename") },
      {
        keys: "v",
        what: "go to the versions",
        run: () => document.querySelector<HTMLElement>(".grid")?.focus(),
      },
    ],
    [],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = `${name} · slipstream`;
  }, [name]);
  const act = useCallback(
    (what: "promote" | "stage" | "delete", row: VersionRow) => setOpen({ what, row }),
    [],
  );
  const error = model.error.value;
  const found = model.value.value;
  if (error?.status === 404)
    return (
      <Empty title={`There is no model ${name}`}>
        <p>
          It may have been renamed or deleted. <a href={pageUrl(["models"])}>All models</a>
        </p>
      </Empty>
    );
  if (error && !found) return <Failure error={error} retry={() => void model.reload()} />;
  if (!found) return <Skeleton />;
  const [before, after] = compared;
  const aliases = found.aliases ?? [];
  return (
    <div class={`models-ui model-page${before && after ? " tall" : ""}`}>
      <div class="tools">
        <nav class="crumbs" aria-label="Where this is">
          <a href={pageUrl(["models"])}>Models</a>
          <span aria-hidden="true">/</span>
        </nav>
        <h1 title={name}>{name}</h1>
        <span class="marks">
          {aliases.map((each) => (
            <span key={each.alias} class="model-tag">
              <a href={versionUrl(name, each.version)}>
                <AliasMark alias={each.alias}> v{each.version}</AliasMark>
              </a>
              <button
                type="button"
                class="plain"
                aria-label={`Take @${each.alias} off version ${each.version}`}
                onClick={() => void dropAlias(name, each, refresh)}
              >
                ×
              </button>
            </span>
          ))}
        </span>
        <span class="stretch" />
        {chosen.length > 0 && (
          <button type="button" disabled={chosen.length < 2} onClick={compare}>
            Compare {chosen.length === 2 ? `v${chosen[0]} and v${chosen[1]}` : "…"} <kbd>c</kbd>
          </button>
        )}
        <button type="button" onClick={() => setOpen("rename")}>
          Rename
        </button>
        <button type="button" onClick={() => setOpen("delete")}>
          Delete
        </button>
      </div>
      {before && after ? (
        <Comparison name={name} before={before} after={after} />
      ) : (
        <>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
          <div class="model-about" role="region" aria-label="About the model" tabIndex={0}>
            <Described
              text={found.description ?? ""}
              isEditing={isEditing}
              onEdit={setEditing}
              onSave={async (text) => {
                await describeModel(name, text);
                await model.reload();
              }}
            />
            <TagList
              tags={[...tagsOf(found.tags)].filter(([key]) => !isMove(key))}
              put={(key, value) => putTag(name, undefined, key, value).then(refresh)}
            />
          </div>
          <Versions name={name} rows={rows} metrics={metrics} chosen={chosen} order={order} onAct={act} />
        </>
      )}
      {open === "rename" && (
        <RenameModel
          name={name}
          onClose={() => setOpen(undefined)}
          onDone={(to, from) => isHere(from) && go(pageUrl(["models", to]), { replace: true })}
        />
      )}
      {open === "delete" && (
        <DeleteModel
          model={found}
          onClose={() => setOpen(undefined)}
          onDone={() => isHere(name) && go(pageUrl(["models"]))}
        />
      )}
      {typeof open === "object" && open.what === "promote" && (
        <Promote
          name={name}
          version={open.row.version.version}
          aliases={aliases}
          onClose={() => setOpen(undefined)}
          onDone={refresh}
        />
      )}
      {typeof open === "object" && open.what === "stage" && (
        <MoveStage version={open.row.version} onClose={() => setOpen(undefined)} onDone={refresh} />
      )}
      {typeof open === "object" && open.what === "delete" && (
        <DeleteVersion row={open.row} onClose={() => setOpen(undefined)} onDone={refresh} />
      )}
    </div>
  );
}

/** Whether the page of a model is still what is looked at: who has gone on must not be taken away from where he is. */
const isHere = (name: string) => url.peek().pathname === pageUrl(["models", name]);

type VersionsProps = Parameters<typeof VersionsGrid>[0];

function Versions(props: VersionsProps) {
  const { rows, name } = props;
  const shown = useRows(rows, name);
  const total = shown.total.value;
  const error = rows.error.value;
  const failure = error instanceof ApiError && <Failure error={error} retry={() => rows.refresh()} />;
  if (total === undefined) return failure || <Skeleton />;
  if (total === 0)
    return (
      <Empty title="No versions yet">
        <p>Log a model under this name, and it becomes version 1:</p>
        <CopyBlock
          label="A version in Python"
          text={`slipstream.sklearn.log_model(model, name="model", registered_model_name=${JSON.stringify(name)})`}
        />
      </Empty>
    );
  return (
    <>
      {failure}
      <VersionsGrid {...props} rows={shown} />
    </>
  );
}

function Comparison({ name, before, after }: { name: string; before: string; after: string }) {
  const isAll = query.value.get("all") === "1";
  const shortcuts = useMemo(
    () => [
      { keys: "Escape", what: "back to the versions", run: () => setQuery({ compare: null, all: null }, {}) },
      { keys: "a", what: "show what is the same, too", run: () => setQuery({ all: isAll ? null : "1" }) },
    ],
    [isAll],
  );
  useShortcuts(shortcuts);
  return (
    <section aria-labelledby="comparison">
      <div class="tools">
        <h2 id="comparison">
          <a href={versionUrl(name, before)}>Version {before}</a> and{" "}
          <a href={versionUrl(name, after)}>version {after}</a>
        </h2>
        <button
          type="button"
          onClick={() => setQuery({ compare: `${after},${before}` }, {})}
          aria-label="Change sides"
        >
          ⇄
        </button>
        <label class="line-label">
          <input
            type="checkbox"
            checked={isAll}
            onChange={(event) => setQuery({ all: event.currentTarget.checked ? "1" : null })}
          />
          What is the same, too
        </label>
        <span class="stretch" />
        <button type="button" onClick={() => setQuery({ compare: null, all: null }, {})}>
          Back to the versions
        </button>
      </div>
      {/* of another pair nothing stays: what was read of the one before would be taken for it */}
      <Sides key={`${name} ${before} ${after}`} name={name} before={before} after={after} isAll={isAll} />
    </section>
  );
}

function Sides(props: { name: string; before: string; after: string; isAll: boolean }) {
  const { name, before, after } = props;
  const both = useResource(`${name} ${before} ${after}`, (abort) =>
    Promise.all([readWhole(name, before, abort), readWhole(name, after, abort)]),
  );
  if (both.error.value) return <Failure error={both.error.value} retry={() => void both.reload()} />;
  const [one, other] = both.value.value ?? [];
  return <VersionDifferences before={one} after={other} isAll={props.isAll} />;
}
