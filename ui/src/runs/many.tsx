/** What is done with the runs that are selected. */

import { useState } from "preact/hooks";
import { fetchChecked, hasToken, own } from "../api/request";
import { Dialog } from "../app/dialog";
import { go, pageUrl, path } from "../app/router";
import { saveBlob } from "../app/save_file";
import { SheetForm } from "../app/sheet_form";
import { tell, tellFailure } from "../app/toasts";
import { count } from "../lib/format";
import { MoveDialog } from "./move_dialog";
import { change, isAll, NOTHING, type Operation, readIds, type Selection, toggleAll } from "./selection";
import { keepSelection, type RunsState, readState } from "./state";
import type { TableQuery } from "./table";

export const MOST_COMPARED = 100;

export async function compare(selection: Selection, query: TableQuery): Promise<void> {
  const ids = selection.filters.length ? await readIds(selection, query, MOST_COMPARED + 1) : selection.ids;
  if (ids.length < 2) tell("Select two runs or more with x, then compare them.");
  else if (ids.length > MOST_COMPARED)
    tell(`Up to ${MOST_COMPARED} runs can be compared; more are selected.`);
  else go(pageUrl(["compare"], { runs: ids.join(",") }));
}

const named = (runs: number) => `${count(runs)} ${runs === 1 ? "run" : "runs"}`;

const DONE: Readonly<Record<Operation["operation"], (act: Operation) => string>> = {
  tag: (act) => `tagged ${"key" in act ? act.key : ""}`,
  untag: (act) => `without the tag ${"key" in act ? act.key : ""} now`,
  move: () => "moved",
  delete: () => "moved to the trash",
  restore: () => "restored",
};

const same = (one: Selection, other: Selection) => JSON.stringify(one) === JSON.stringify(other);

async function saveHistories(url: string): Promise<void> {
  const answer = await fetchChecked(url);
  saveBlob(await answer.blob(), "histories.csv");
}

interface Props {
  readonly state: RunsState;
  readonly query: TableQuery;
  /** How many runs are selected, once that is known. */
  readonly selected: number | undefined;
  /** How many the page finds, where it knows that. */
  readonly found: number | undefined;
  readonly experiment: string;
  readonly onDone: () => void;
}

export function ManyRuns({ state, query, selected, found, experiment, onDone }: Props) {
  const { selection } = state;
  const [asked, setAsked] = useState<"tag" | "move">();
  const [isBusy, setBusy] = useState(false);
  /** Do it; what goes wrong is for who asked. */
  const act = async (what: Operation) => {
    setBusy(true);
    const here = path.peek();
    try {
      const done = await change(what, selection, query, selection.filters.length ? selected : undefined);
      const undo = done.undo;
      const others = done.found - done.changed;
      const text = done.changed
        ? `${named(done.changed)} ${DONE[what.operation](what)}.${others ? ` The other ${count(others)} were so already.` : ""}`
        : "Nothing was to be done: all of them are so already.";
      setAsked(undefined);
      // not what somebody has selected meanwhile, here or elsewhere
      const isSame = here === path.peek() && same(selection, readState().selection);
      if (isSame && what.operation !== "tag" && what.operation !== "untag") keepSelection(NOTHING);
      const takeBack = () => void undo?.().then(onDone, tellFailure);
      tell(
        undo || !done.changed ? text : `${text} It cannot be undone here: what they had before is too much.`,
        {
          ...(undo ? { undo: takeBack } : {}),
        },
      );
    } finally {
      setBusy(false);
      onDone();
    }
  };
  const isMore = found === undefined || selected === undefined || selected < found;
  const histories = historiesOf(selection, query);
  return (
    <div class="chosen-tools" role="group" aria-label="Selected runs">
      <span aria-live="polite">
        {isBusy ? "Working on " : ""}
        {selected === undefined ? "…" : count(selected)} selected
      </span>
      {!isAll(state) && isMore && (
        <button
          type="button"
          title="Also those that are not loaded (Ctrl A)"
          onClick={() => keepSelection(toggleAll(state))}
        >
          {found === undefined ? "All found" : `All ${count(found)} found`}
        </button>
      )}
      {!state.isTrash && (
        <>
          <button
            type="button"
            onClick={() => void compare(selection, query).catch(tellFailure)}
            disabled={isBusy || selected === undefined || selected < 2}
          >
            Compare
          </button>
          <button type="button" disabled={isBusy} onClick={() => setAsked("tag")}>
            Tag…
          </button>
          <button type="button" disabled={isBusy} onClick={() => setAsked("move")}>
            Move…
          </button>
          {histories && (
            <a
              class="button"
              data-leave
              download="histories.csv"
              href={own.url("metrics/histories", histories)}
              onClick={(event) => {
                if (!hasToken()) return;
                event.preventDefault(); // a link sends no token
                void saveHistories(own.path("metrics/histories", histories)).catch(tellFailure);
              }}
            >
              Histories
            </a>
          )}
        </>
      )}
      <button
        type="button"
        disabled={isBusy || selected === undefined}
        onClick={() => void act({ operation: state.isTrash ? "restore" : "delete" }).catch(tellFailure)}
      >
        {state.isTrash ? "Restore" : "Delete"}
      </button>
      <button type="button" class="plain" onClick={() => keepSelection(NOTHING)}>
        Clear
      </button>
      {asked === "tag" && <TagDialog runs={selected ?? 0} onClose={() => setAsked(undefined)} onAct={act} />}
      {asked === "move" && (
        <MoveDialog
          title={`Move ${named(selected ?? 0)}`}
          from={experiment}
          onClose={() => setAsked(undefined)}
          onMove={(value) => act({ operation: "move", value })}
        />
      )}
    </div>
  );
}

/** What asks for all points of the selected runs, where one request can. */
function historiesOf({ ids, filters, except }: Selection, query: TableQuery) {
  if (!filters.length) return { run_ids: ids, format: "csv" };
  if (ids.length || except.length || filters.length > 1) return undefined;
  return { experiment_ids: query.experiment_ids, filter: filters[0], format: "csv" };
}

function TagDialog(props: { runs: number; onClose: () => void; onAct: (what: Operation) => Promise<void> }) {
  const tag = (given: FormData) => {
    const key = String(given.get("key")).trim();
    return props.onAct(
      given.get("what") === "untag"
        ? { operation: "untag", key }
        : { operation: "tag", key, value: String(given.get("value")) },
    );
  };
  return (
    <Dialog title={`Tag ${named(props.runs)}`} onClose={props.onClose}>
      <SheetForm
        action="Set the tag"
        onSubmit={tag}
        onClose={props.onClose}
        more={
          <button type="submit" name="what" value="untag">
            Remove the tag
          </button>
        }
      >
        <label>
          Name
          <input name="key" required maxLength={250} />
        </label>
        <label>
          Value
          <input name="value" maxLength={8000} />
        </label>
      </SheetForm>
    </Dialog>
  );
}
