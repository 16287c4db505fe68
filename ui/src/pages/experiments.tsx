/** All experiments, the ones used last first. */

import "../styles/lists.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, mlflow, own } from "../api/request";
import type { ExperimentOverview, ExperimentsOverviewResponse } from "../api/schema";
import { useCalm } from "../app/calm";
import { Dialog } from "../app/dialog";
import { FirstSteps } from "../app/first_steps";
import { useLive } from "../app/live";
import { go, pageUrl, query, setQuery } from "../app/router";
import { SheetForm } from "../app/sheet_form";
import { useShortcuts } from "../app/shortcuts";
import { Empty, Failure, Skeleton } from "../app/states";
import { tell, tellFailure } from "../app/toasts";
import { Grid, type GridColumn } from "../grid/grid";
import { Rows } from "../grid/rows";
import { useRows } from "../grid/use_rows";
import { ago, count, moment } from "../lib/format";

/** Where many runs log, something changes all the time. */
const CALM_MS = 1000;

export default function ExperimentsPage() {
  const text = query.value.get("search") ?? "";
  const isTrash = query.value.get("trash") === "1";
  const [isNaming, setNaming] = useState(false);
  const rows = useMemo(
    () =>
      new Rows<ExperimentOverview>(async (offset, limit, abort) => {
        const view_type = isTrash ? "DELETED_ONLY" : "ACTIVE_ONLY";
        const page = await own.get<ExperimentsOverviewResponse>(
          "experiments/overview",
          { search: text, view_type, offset, limit },
          abort,
        );
        return { total: page.total, rows: page.experiments };
      }),
    [text, isTrash],
  );
  const shown = useRows(rows, String(isTrash));
  const refreshSoon = useCalm(() => rows.refresh(), CALM_MS);
  useLive({ everything: true }, (changes) => {
    if (changes.runs.size || changes.experiments.size || changes.isReset) refreshSoon();
  });
  const shortcuts = useMemo(
    () => [
      { keys: "/", what: "search", run: () => document.getElementById("search")?.focus() },
      { keys: "n", what: "new experiment", run: () => setNaming(true) },
    ],
    [],
  );
  useShortcuts(shortcuts);
  useEffect(() => {
    document.title = "Experiments · slipstream";
  }, []);
  const change = async (what: "delete" | "restore", row: ExperimentOverview) => {
    try {
      await mlflow.post(`experiments/${what}`, { experiment_id: row.experiment_id });
      rows.refresh();
      tell(`${row.name} is ${what === "delete" ? "in the trash" : "back"}.`, {
        undo: () => void change(what === "delete" ? "restore" : "delete", row),
      });
    } catch (error) {
      tellFailure(error);
    }
  };
  const columns: GridColumn<ExperimentOverview>[] = [
    {
      key: "name",
      title: "Experiment",
      width: Math.min(420, innerWidth * 0.5),
      pinned: true,
      isNumber: false,
      cell: (row) => (
        <a href={pageUrl(["experiments", row.experiment_id])} tabIndex={-1} title={row.name}>
          {row.name}
        </a>
      ),
    },
    { key: "runs", title: "Runs", width: 90, pinned: false, isNumber: true, cell: (row) => count(row.runs) },
    {
      key: "activity",
      title: "Last activity",
      width: 130,
      pinned: false,
      isNumber: false,
      cell: (row) =>
        row.last_activity === null ? (
          ""
        ) : (
          <time title={moment(row.last_activity)}>{ago(row.last_activity)}</time>
        ),
    },
    {
      key: "note",
      title: "Note",
      width: 420,
      pinned: false,
      isNumber: false,
      cell: (row) => (
        <span class="quiet">
          {(row.tags?.["mlflow.note.content"] ?? "").split("\n")[0]?.replace(/^#+\s*/, "")}
        </span>
      ),
    },
    {
      key: "id",
      title: "Id",
      width: 150,
      pinned: false,
      isNumber: false,
      cell: (row) => <span class="quiet">{row.experiment_id}</span>,
    },
    {
      key: "act",
      title: "",
      width: 90,
      pinned: false,
      isNumber: false,
      head: <span class="hidden-text">Delete or restore</span>,
      cell: (row) => (
        <button
          type="button"
          class="plain"
          tabIndex={-1}
          disabled={row.experiment_id === "0"}
          onClick={() => void change(isTrash ? "restore" : "delete", row)}
        >
          {isTrash ? "Restore" : "Delete"}
        </button>
      ),
    },
  ];
  const error = rows.error.value;
  return (
    <div class="runs">
      <div class="tools">
        <h1>Experiments</h1>
        <input
          id="search"
          type="search"
          aria-label="Search experiments by name"
          placeholder="Search by name"
          value={text}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <output class="quiet" aria-live="polite">
          {shown.total.value === undefined ? "" : count(shown.total.value)}
        </output>
        <span class="stretch" />
        <button type="button" onClick={() => setNaming(true)}>
          New experiment
        </button>
        <button
          type="button"
          aria-pressed={isTrash}
          onClick={() => setQuery({ trash: isTrash ? null : "1" }, {})}
        >
          Trash
        </button>
      </div>
      {error instanceof ApiError && <Failure error={error} retry={() => rows.refresh()} />}
      {shown.total.value === undefined ? (
        !error && <Skeleton lines={16} />
      ) : shown.total.value === 0 ? (
        <Empty
          title={text ? "No experiment has such a name" : isTrash ? "The trash is empty" : "No experiments"}
        >
          {!text && !isTrash && <FirstSteps />}
        </Empty>
      ) : (
        <Grid
          label="Experiments"
          rows={shown}
          columns={columns}
          rowKey={(row) => row.experiment_id}
          onOpen={(row) => go(pageUrl(["experiments", row.experiment_id]))}
          onKey={(event, row) => {
            if (event.key !== "Delete" || !row || row.experiment_id === "0") return;
            event.preventDefault();
            void change(isTrash ? "restore" : "delete", row);
          }}
        />
      )}
      {isNaming && <NewExperiment onClose={() => setNaming(false)} />}
    </div>
  );
}

function NewExperiment({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="New experiment" onClose={onClose}>
      <SheetForm
        action="Create"
        onClose={onClose}
        onSubmit={async (given, isOpen) => {
          const name = String(given.get("name")).trim();
          const made = await mlflow.post<{ experiment_id: string }>("experiments/create", { name });
          if (!isOpen()) {
            tell(`The experiment ${name} is made.`);
            return;
          }
          onClose();
          go(pageUrl(["experiments", made.experiment_id]));
        }}
      >
        <label>
          Name
          <input name="name" required maxLength={500} />
        </label>
      </SheetForm>
    </Dialog>
  );
}
