/** All registered models, the ones that changed last first, each with what is in production of it. */

import "../styles/lists.css";
import "../styles/models.css";
import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { ApiError, serverAddress } from "../api/request";
import type { RegisteredModelMessage } from "../api/schema";
import { useCalm } from "../app/calm";
import { CopyBlock } from "../app/copy";
import { useLive } from "../app/live";
import { go, pageUrl, query, setQuery } from "../app/router";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { tellFailure } from "../app/toasts";
import { Grid, type GridColumn } from "../grid/grid";
import { Rows } from "../grid/rows";
import { useRows } from "../grid/use_rows";
import { ago, count, moment, shortNumber, toNumber } from "../lib/format";
import { AliasMark, MetricText, StageMark, versionUrl } from "../models/marks";
import type { ModelRow } from "../models/messages";
import { DeleteModel, NewModel, RenameModel } from "../models/naming";
import { readModel, readModels } from "../models/requests";
import { filterOf } from "../models/search";

const TYPING_MS = 150;
/** A registry that changes all the time, as pipelines do it, is not read all the time. */
const CALM_MS = 500;
const NARROW = 640;
const ORDERS: Readonly<Record<string, string>> = { name: "name", updated: "last_updated_timestamp" };

export default function ModelsPage() {
  const text = query.value.get("search") ?? "";
  const order = query.value.get("order") ?? "updated";
  const isDescending = (query.value.get("desc") ?? (order === "updated" ? "1" : "0")) === "1";
  const shown = query.value.get("metrics") ?? "";
  const metrics = useMemo(() => shown.split(",").filter((key) => key !== ""), [shown]);
  const [dialog, setDialog] = useState<
    "new" | { kind: "rename" | "delete"; model: RegisteredModelMessage }
  >();
  const rows = useMemo(
    () =>
      new Rows<ModelRow>(async (offset, limit, abort) => {
        const page = await readModels(
          {
            filter: filterOf(text),
            order_by: [`${ORDERS[order] ?? "name"} ${isDescending ? "DESC" : "ASC"}`],
            offset,
            limit,
            metric_keys: metrics,
          },
          abort,
        );
        return { total: page.total, rows: page.models };
      }),
    [text, order, isDescending, metrics],
  );
  const found = useRows(rows);
  const refresh = () => rows.refresh();
  const refreshSoon = useCalm(refresh, CALM_MS);
  useLive({ models: true }, refreshSoon);
  const shortcuts = useMemo(
    () => [
      { keys: "/", what: "search models", run: () => document.getElementById("search")?.focus() },
      { keys: "n", what: "new model", run: () => setDialog("new") },
    ],
    [],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = "Models · slipstream";
  }, []);
  const ask = async (kind: "rename" | "delete", row: ModelRow) => {
    try {
      setDialog({ kind, model: await readModel(row.name) });
    } catch (error) {
      tellFailure(error);
    }
  };
  const sorting = (key: string): Pick<GridColumn<ModelRow>, "sorted" | "onSort"> => ({
    sorted: order === key ? (isDescending ? "descending" : "ascending") : undefined,
    onSort: () =>
      setQuery({ order: key, desc: order === key && !isDescending ? "1" : order === key ? "0" : null }, {}),
  });
  const isNarrow = innerWidth < NARROW;
  const columns: GridColumn<ModelRow>[] = [
    {
      key: "name",
      title: "Model",
      width: isNarrow ? 170 : 280,
      pinned: true,
      isNumber: false,
      ...sorting("name"),
      cell: (row) => (
        <a href={pageUrl(["models", row.name])} tabIndex={-1} title={row.name}>
          {row.name}
        </a>
      ),
    },
    {
      key: "leading",
      title: "In production",
      width: 150,
      pinned: false,
      isNumber: false,
      cell: (row) =>
        row.leading && row.leading.why !== "latest" ? (
          <a href={versionUrl(row.name, row.leading.version)} tabIndex={-1} class="marks">
            v{row.leading.version}
            {row.leading.why === "Production" ? (
              <StageMark stage="Production" />
            ) : (
              <AliasMark alias={row.leading.why} />
            )}
          </a>
        ) : (
          ""
        ),
    },
    ...(metrics.length
      ? metrics.map(
          (key): GridColumn<ModelRow> => ({
            key: `metric ${key}`,
            title: key,
            width: 110,
            pinned: false,
            isNumber: true,
            cell: (row) => <MetricText value={row.leading?.metrics?.[key]} />,
          }),
        )
      : [
          {
            key: "metrics",
            title: "Metrics of its run",
            width: 330,
            pinned: false,
            isNumber: false,
            cell: (row: ModelRow) => <FewMetrics metrics={row.leading?.metrics ?? {}} />,
          },
        ]),
    {
      key: "latest",
      title: "Latest",
      width: 80,
      pinned: false,
      isNumber: true,
      cell: (row) =>
        row.latest_version ? (
          <a href={versionUrl(row.name, row.latest_version)} tabIndex={-1}>
            v{row.latest_version}
          </a>
        ) : (
          ""
        ),
    },
    {
      key: "versions",
      title: "Versions",
      width: 84,
      pinned: false,
      isNumber: true,
      cell: (row) => count(row.versions ?? 0),
    },
    {
      key: "aliases",
      title: "Aliases",
      width: 230,
      pinned: false,
      isNumber: false,
      cell: (row) => (
        <span class="marks">
          {Object.entries(row.aliases ?? {}).map(([alias, version]) => (
            <AliasMark key={alias} alias={alias}>
              {" "}
              v{version}
            </AliasMark>
          ))}
        </span>
      ),
    },
    {
      key: "updated",
      title: "Changed",
      width: 110,
      pinned: false,
      isNumber: false,
      ...sorting("updated"),
      cell: (row) => (
        <time title={moment(row.last_updated_timestamp)}>{ago(row.last_updated_timestamp)}</time>
      ),
    },
    {
      key: "tags",
      title: "Tags",
      width: 200,
      pinned: false,
      isNumber: false,
      cell: (row) => (
        <span class="quiet">
          {Object.entries(row.tags ?? {})
            .map(([key, value]) => `${key}: ${value}`)
            .join(" · ")}
        </span>
      ),
    },
    {
      key: "description",
      title: "Description",
      width: 300,
      pinned: false,
      isNumber: false,
      cell: (row) => (
        <span class="quiet">{(row.description ?? "").split("\n")[0]?.replace(/^#+\s*/, "")}</span>
      ),
    },
    {
      key: "act",
      title: "",
      width: 150,
      pinned: false,
      isNumber: false,
      head: <span class="hidden-text">Rename or delete</span>,
      cell: (row) => (
        <>
          <button type="button" class="plain" tabIndex={-1} onClick={() => void ask("rename", row)}>
            Rename
          </button>
          <button type="button" class="plain" tabIndex={-1} onClick={() => void ask("delete", row)}>
            Delete
          </button>
        </>
      ),
    },
  ];
  const error = rows.error.value;
  return (
    <div class="runs models-ui">
      <div class="tools">
        <h1>Models</h1>
        <SearchBox text={text} />
        <output class="quiet" aria-live="polite">
          {found.total.value === undefined ? "" : count(found.total.value)}
        </output>
        <span class="stretch" />
        <label class="line-label wide-only">
          <span>Metrics</span>
          <input
            class="metric-names"
            placeholder="the first four"
            title="Names of metrics, with commas between"
            value={shown}
            onChange={(event) =>
              setQuery(
                {
                  metrics: event.currentTarget.value
                    .split(",")
                    .map((each) => each.trim())
                    .filter(Boolean)
                    .slice(0, 20)
                    .join(","),
                },
                {},
              )
            }
          />
        </label>
        <button type="button" onClick={() => setDialog("new")}>
          New model
        </button>
      </div>
      {error instanceof ApiError && <Failure error={error} retry={refresh} />}
      {found.total.value === undefined ? (
        !error && <Skeleton />
      ) : found.total.value === 0 ? (
        <Empty title={text ? "No model is found" : "No models yet"}>
          {text ? (
            <p>
              Words look for a name. Tags are found by <code>tags.team = 'pricing'</code>.
            </p>
          ) : (
            <FirstModel />
          )}
        </Empty>
      ) : (
        <Grid
          label="Models"
          rows={found}
          columns={columns}
          rowKey={(row) => row.name}
          onOpen={(row) => go(pageUrl(["models", row.name]))}
          onKey={(event, row) => {
            if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
            if (event.key !== "Delete" && event.key !== "r") return;
            event.preventDefault();
            void ask(event.key === "r" ? "rename" : "delete", row);
          }}
        />
      )}
      {dialog === "new" && <NewModel onClose={() => setDialog(undefined)} />}
      {typeof dialog === "object" && dialog.kind === "rename" && (
        <RenameModel name={dialog.model.name} onClose={() => setDialog(undefined)} onDone={refresh} />
      )}
      {typeof dialog === "object" && dialog.kind === "delete" && (
        <DeleteModel model={dialog.model} onClose={() => setDialog(undefined)} onDone={refresh} />
      )}
    </div>
  );
}

function SearchBox({ text }: { text: string }) {
  const [typed, setTyped] = useState(text);
  // with what is drawn: after it, letters that were typed meanwhile would be gone
  useLayoutEffect(() => setTyped(text), [text]);
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => setQuery({ search: typed }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      id="search"
      type="search"
      aria-label="Search models by name, or by tags.key = 'value'"
      placeholder="Name, or tags.team = 'pricing'"
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key !== "Enter") return;
        setQuery({ search: typed });
        document.querySelector<HTMLElement>(".grid")?.focus();
      }}
    />
  );
}

function FewMetrics({ metrics }: { metrics: Readonly<Record<string, number | string>> }) {
  return (
    <span class="few-metrics">
      {Object.entries(metrics).map(([key, value]) => (
        <span key={key} title={`${key}: ${value}`}>
          <span class="quiet">{key}</span>{" "}
          {shortNumber(toNumber(typeof value === "string" ? Number(value) : value) as number)}
        </span>
      ))}
    </span>
  );
}

function FirstModel() {
  return (
    <>
      <p>Log a model with a name, and it is registered:</p>
      <CopyBlock
        label="A first model in Python"
        text={`import slipstream
from sklearn.linear_model import LinearRegression

slipstream.set_tracking_uri("${serverAddress()}")
with slipstream.start_run():
    model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    slipstream.sklearn.log_model(model, name="model", registered_model_name="first")
`}
      />
    </>
  );
}
