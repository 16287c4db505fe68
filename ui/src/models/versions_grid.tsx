/** The versions of a model, newest first, with the numbers of their runs. */

import { useMemo } from "preact/hooks";
import { go, pageUrl, query, setQuery } from "../app/router";
import { Grid, type GridColumn } from "../grid/grid";
import type { Rows } from "../grid/rows";
import { ago, moment } from "../lib/format";
import { AliasMark, MetricText, StageMark, versionUrl } from "./marks";
import type { VersionRow } from "./messages";
import { isMove } from "./moves";

const NARROW = 640;

export const chosenNow = () => (query.peek().get("chosen") ?? "").split(",").filter(Boolean);

interface Props {
  readonly name: string;
  readonly rows: Rows<VersionRow>;
  readonly metrics: readonly string[];
  readonly chosen: readonly string[];
  readonly order: string;
  readonly onAct: (what: "promote" | "stage" | "delete", row: VersionRow) => void;
}

export function VersionsGrid({ name, rows, metrics, chosen, order, onAct }: Props) {
  const choose = (row: VersionRow) => {
    const { version } = row.version;
    // as it is now, and not as it was drawn last: keys come faster
    const now = chosenNow();
    const next = now.includes(version) ? now.filter((each) => each !== version) : [...now, version];
    setQuery({ chosen: next.slice(-2).join(",") });
  };
  const columns = useMemo(() => {
    const isNarrow = innerWidth < NARROW;
    const result: GridColumn<VersionRow>[] = [
      {
        key: "version",
        title: "Version",
        width: isNarrow ? 110 : 130,
        pinned: true,
        isNumber: false,
        sorted: order === "created" ? undefined : order === "oldest" ? "ascending" : "descending",
        onSort: () => setQuery({ order: order === "oldest" ? null : "oldest" }, {}),
        cell: (row) => (
          <span class="run-name">
            <input
              type="checkbox"
              tabIndex={-1}
              aria-label={`Select version ${row.version.version}`}
              checked={chosen.includes(row.version.version)}
              onChange={() => choose(row)}
            />
            <a href={versionUrl(name, row.version.version)} tabIndex={-1}>
              Version {row.version.version}
            </a>
          </span>
        ),
      },
      {
        key: "aliases",
        title: "Aliases",
        width: 200,
        pinned: false,
        isNumber: false,
        cell: (row) => (
          <span class="marks">
            {(row.version.aliases ?? []).map((alias) => (
              <AliasMark key={alias} alias={alias} />
            ))}
            <StageMark stage={row.version.current_stage} />
            {row.version.status !== "READY" && <span class="worse">{row.version.status.toLowerCase()}</span>}
          </span>
        ),
      },
    ];
    for (const key of metrics)
      result.push({
        key: `metric ${key}`,
        title: key,
        width: 104,
        pinned: false,
        isNumber: true,
        cell: (row) => <MetricText value={row.run?.metrics?.[key]} />,
      });
    result.push(
      {
        key: "run",
        title: "Run",
        width: 180,
        pinned: false,
        isNumber: false,
        cell: (row) =>
          row.run ? (
            <a
              href={pageUrl(["experiments", row.run.experiment_id, "runs", row.run.run_id])}
              tabIndex={-1}
              title={row.run.run_id}
            >
              {row.run.run_name || row.run.run_id.slice(0, 8)}
            </a>
          ) : (
            <span class="quiet">{(row.version.run_id ?? "").slice(0, 8)}</span>
          ),
      },
      {
        key: "by",
        title: "By",
        width: 100,
        pinned: false,
        isNumber: false,
        cell: (row) => row.run?.user_id ?? "",
      },
      {
        key: "created",
        title: "Registered",
        width: 110,
        pinned: false,
        isNumber: false,
        cell: (row) => (
          <time title={moment(row.version.creation_timestamp)}>{ago(row.version.creation_timestamp)}</time>
        ),
      },
      {
        key: "tags",
        title: "Tags",
        width: 220,
        pinned: false,
        isNumber: false,
        cell: (row) => (
          <span class="quiet">
            {(row.version.tags ?? [])
              .filter((tag) => !isMove(tag.key))
              .map((tag) => `${tag.key}: ${tag.value ?? ""}`)
              .join(" · ")}
          </span>
        ),
      },
      {
        key: "description",
        title: "Description",
        width: 260,
        pinned: false,
        isNumber: false,
        cell: (row) => <span class="quiet">{(row.version.description ?? "").split("\n")[0]}</span>,
      },
      {
        key: "act",
        title: "",
        width: 210,
        pinned: false,
        isNumber: false,
        head: <span class="hidden-text">What can be done</span>,
        cell: (row) => (
          <>
            <button type="button" class="plain" tabIndex={-1} onClick={() => onAct("promote", row)}>
              Alias…
            </button>
            <button type="button" class="plain" tabIndex={-1} onClick={() => onAct("stage", row)}>
              Stage…
            </button>
            <button type="button" class="plain" tabIndex={-1} onClick={() => onAct("delete", row)}>
              Delete
            </button>
          </>
        ),
      },
    );
    return result;
  }, [name, metrics, chosen, order, onAct]);
  return (
    <Grid
      label="Versions"
      rows={rows}
      columns={columns}
      rowKey={(row) => row.version.version}
      isChosen={(row) => chosen.includes(row.version.version)}
      onOpen={(row) => go(versionUrl(name, row.version.version))}
      onChoose={choose}
      onKey={(event, row) => {
        if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
        const what = ({ p: "promote", s: "stage", Delete: "delete" } as const)[event.key as "p"];
        if (!what) return;
        event.preventDefault();
        onAct(what, row);
      }}
    />
  );
}
