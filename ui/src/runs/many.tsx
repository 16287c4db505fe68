/** What is done with the runs that are selected. */

import { useState } from "preact/hooks";
import { fetchChecked, hasToken, mlflow, own } from "../api/request";
import { useResource } from "../api/resource";
import type { SearchExperimentsResponse } from "../api/schema";
import { Dialog, DialogButtons } from "../app/dialog";
import { go, pageUrl } from "../app/router";
import { tell, tellFailure } from "../app/toasts";
import { count } from "../lib/format";
import { saveBlob } from "./as_csv";
import { keepChosen } from "./state";

export const MOST_COMPARED = 100;

export function compare(ids: readonly string[]): void {
  if (ids.length < 2) tell("Select two runs or more with x, then compare them.");
  else if (ids.length > MOST_COMPARED)
    tell(`Up to ${MOST_COMPARED} runs can be compared; ${ids.length} are selected.`);
  else go(pageUrl(["compare"], { runs: ids.join(",") }));
}

const named = (ids: readonly string[]) => `${count(ids.length)} ${ids.length === 1 ? "run" : "runs"}`;

/** Do something with each run; what fails is told, and the others are done all the same. */
async function forEach(ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<string[]> {
  const done: string[] = [];
  let failure: unknown;
  for (const id of ids)
    try {
      await act(id);
      done.push(id);
    } catch (error) {
      failure = error;
    }
  if (failure !== undefined) tellFailure(failure);
  return done;
}

async function saveHistories(ids: readonly string[]): Promise<void> {
  const answer = await fetchChecked(own.path("metrics/histories", { run_ids: ids, format: "csv" }));
  saveBlob(await answer.blob(), "histories.csv");
}

interface Props {
  readonly ids: readonly string[];
  readonly experiment: string;
  readonly isTrash: boolean;
  readonly onDone: () => void;
}

export function ManyRuns({ ids, experiment, isTrash, onDone }: Props) {
  const [asked, setAsked] = useState<"tag" | "move">();
  const change = async (what: "delete" | "restore", of: readonly string[]) => {
    const done = await forEach(of, (run_id) => mlflow.post(`runs/${what}`, { run_id }));
    onDone();
    return done;
  };
  const act = async (what: "delete" | "restore") => {
    const done = await change(what, ids);
    keepChosen([]);
    if (done.length)
      tell(`${named(done)} ${what === "delete" ? "moved to the trash" : "restored"}.`, {
        undo: () => void change(what === "delete" ? "restore" : "delete", done),
      });
  };
  return (
    <div class="chosen-tools" role="group" aria-label="Selected runs">
      <span>{count(ids.length)} selected</span>
      {!isTrash && (
        <>
          <button type="button" onClick={() => compare(ids)} disabled={ids.length < 2}>
            Compare
          </button>
          <button type="button" onClick={() => setAsked("tag")}>
            Tag…
          </button>
          <button type="button" onClick={() => setAsked("move")}>
            Move…
          </button>
          <a
            class="button"
            data-leave
            download="histories.csv"
            href={own.url("metrics/histories", { run_ids: ids, format: "csv" })}
            onClick={(event) => {
              if (!hasToken()) return;
              event.preventDefault(); // a link sends no token
              void saveHistories(ids).catch(tellFailure);
            }}
          >
            Histories
          </a>
        </>
      )}
      <button type="button" onClick={() => void act(isTrash ? "restore" : "delete")}>
        {isTrash ? "Restore" : "Delete"}
      </button>
      <button type="button" class="plain" onClick={() => keepChosen([])}>
        Clear
      </button>
      {asked === "tag" && <TagDialog ids={ids} onClose={() => setAsked(undefined)} onDone={onDone} />}
      {asked === "move" && (
        <MoveDialog ids={ids} from={experiment} onClose={() => setAsked(undefined)} onDone={onDone} />
      )}
    </div>
  );
}

function TagDialog(props: { ids: readonly string[]; onClose: () => void; onDone: () => void }) {
  const tag = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const key = String(form.get("key")).trim();
    const value = String(form.get("value"));
    const done = await forEach(props.ids, (run_id) => mlflow.post("runs/set-tag", { run_id, key, value }));
    if (done.length) tell(`${named(done)} tagged ${key}.`);
    props.onClose();
    props.onDone();
  };
  return (
    <Dialog title={`Tag ${named(props.ids)}`} onClose={props.onClose}>
      <form onSubmit={tag}>
        <label>
          Name
          <input name="key" required maxLength={250} />
        </label>
        <label>
          Value
          <input name="value" maxLength={8000} />
        </label>
        <DialogButtons action="Set the tag" onClose={props.onClose} />
      </form>
    </Dialog>
  );
}

function MoveDialog(props: {
  ids: readonly string[];
  from: string;
  onClose: () => void;
  onDone: () => void;
}) {
  const [to, setTo] = useState("");
  const found = useResource("experiments", (abort) =>
    mlflow.post<SearchExperimentsResponse>("experiments/search", { max_results: 1000 }, abort),
  );
  const others = (found.value.value?.experiments ?? []).filter((each) => each.experiment_id !== props.from);
  const move = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      await own.post("runs/move", { run_ids: props.ids, experiment_id: to });
      keepChosen([]);
      tell(`${named(props.ids)} moved.`, {
        undo: () =>
          void own
            .post("runs/move", { run_ids: props.ids, experiment_id: props.from })
            .then(props.onDone, tellFailure),
      });
    } catch (error) {
      tellFailure(error);
    }
    props.onClose();
    props.onDone();
  };
  return (
    <Dialog title={`Move ${named(props.ids)}`} onClose={props.onClose}>
      <form onSubmit={move}>
        <label>
          To the experiment
          <select required value={to} onChange={(event) => setTo(event.currentTarget.value)}>
            <option value="">Choose one</option>
            {others.map((each) => (
              <option key={each.experiment_id} value={each.experiment_id}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
        <DialogButtons action="Move" isReady={to !== ""} onClose={props.onClose} />
      </form>
    </Dialog>
  );
}
