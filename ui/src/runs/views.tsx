/**
 * Views of a runs table that are kept under a name: filter, order, columns and the rest of the address, for everybody who looks at
 * the experiment. They are tags of the experiment, so any client of the API can read and write them.
 */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { mlflow } from "../api/request";
import type { ExperimentMessage } from "../api/schema";
import { Dialog } from "../app/dialog";
import { go, url } from "../app/router";
import { SheetForm } from "../app/sheet_form";
import { tell, tellFailure } from "../app/toasts";

const TAG = "slipstream.view.";
/** The name of the view in which the experiment opens. */
const DEFAULT_TAG = "slipstream.view-default";
/** In an address: the name of a view, so that a link stays short and follows what the view becomes. */
const LINK = "saved";
/** Who selects runs does not mean to select them for all others. */
const NOT_KEPT = ["chosen", "all", "but"];

export interface View {
  readonly name: string;
  readonly query: string;
}

export function viewsOf(experiment: ExperimentMessage | undefined): View[] {
  return (experiment?.tags ?? [])
    .filter((tag) => tag.key?.startsWith(TAG))
    .map((tag) => ({ name: (tag.key ?? "").slice(TAG.length), query: tag.value ?? "" }))
    .sort((one, other) => one.name.localeCompare(other.name));
}

function queryNow(): string {
  const params = new URLSearchParams(url.value.searchParams);
  for (const name of [...NOT_KEPT, LINK]) params.delete(name);
  return params.toString();
}

function defaultOf(experiment: ExperimentMessage | undefined): string | undefined {
  return experiment?.tags?.find((tag) => tag.key === DEFAULT_TAG)?.value;
}

/**
 * Open an experiment as its address says: with a view that is named there, or with the experiment's own where nothing is said.
 *
 * Only on arrival: who clears the filter later wants it cleared. What is opened takes the place of the address, so that Back leaves.
 */
export function useArrival(experiment: ExperimentMessage | undefined): void {
  const isHere = useRef<string | undefined>(undefined);
  const isBare = useRef(url.peek().search === "");
  useLayoutEffect(() => {
    const id = experiment?.experiment_id;
    if (id === undefined || isHere.current === id) return;
    if (isHere.current !== undefined) isBare.current = url.peek().search === "";
    isHere.current = id;
    const linked = url.peek().searchParams.get(LINK);
    const isUntouched = isBare.current && url.peek().search === "";
    const name = linked ?? (isUntouched ? defaultOf(experiment) : undefined);
    if (name === null || name === undefined) return;
    const view = viewsOf(experiment).find((each) => each.name === name);
    if (view) go(`${url.peek().pathname}?${view.query}`, { replace: true });
    else if (linked) tell(`This experiment has no view ${linked}; here are all its runs.`);
  }, [experiment]);
}

interface Props {
  readonly experiment: ExperimentMessage;
  readonly onChange: () => void;
}

export function Views({ experiment, onChange }: Props) {
  const [isNaming, setNaming] = useState(false);
  const views = viewsOf(experiment);
  const here = queryNow();
  const current = views.find((each) => each.query === here);
  const id = experiment.experiment_id;
  const byDefault = defaultOf(experiment);
  const setDefault = async (name: string | undefined) => {
    const about = { experiment_id: id, key: DEFAULT_TAG };
    if (name === undefined) await mlflow.post("experiments/delete-experiment-tag", about);
    else await mlflow.post("experiments/set-experiment-tag", { ...about, value: name });
    onChange();
    tell(
      name === undefined
        ? "The experiment opens with all its runs again."
        : `The experiment opens in the view ${name}, for everybody.`,
      { undo: () => void setDefault(byDefault).catch(tellFailure) },
    );
  };
  const link = async (name: string) => {
    const there = new URL(url.value.pathname, url.value.origin);
    there.searchParams.set(LINK, name);
    await navigator.clipboard.writeText(there.href);
    tell(`A link to the view ${name} is in the clipboard.`);
  };
  const save = async (name: string) => {
    await mlflow.post("experiments/set-experiment-tag", { experiment_id: id, key: TAG + name, value: here });
    onChange();
    tell(`The view ${name} is kept for everybody who looks at this experiment.`);
  };
  const remove = async (view: View) => {
    const key = TAG + view.name;
    await mlflow.post("experiments/delete-experiment-tag", { experiment_id: id, key });
    if (byDefault === view.name)
      await mlflow.post("experiments/delete-experiment-tag", { experiment_id: id, key: DEFAULT_TAG });
    onChange();
    tell(`The view ${view.name} is gone.`, {
      undo: () =>
        void mlflow
          .post("experiments/set-experiment-tag", { experiment_id: id, key, value: view.query })
          .then(onChange, tellFailure),
    });
  };
  const choose = (choice: string) => {
    if (choice === "save") setNaming(true);
    else if (choice === "remove" && current) remove(current).catch(tellFailure);
    else if (choice === "none") go(url.value.pathname);
    else if (choice === "default" && current) setDefault(current.name).catch(tellFailure);
    else if (choice === "no default") setDefault(undefined).catch(tellFailure);
    else if (choice === "link" && current) link(current.name).catch(tellFailure);
    else if (choice.startsWith("=")) {
      const view = views.find((each) => each.name === choice.slice(1));
      if (view) go(`${url.value.pathname}?${view.query}`);
    }
  };
  return (
    <>
      <select
        aria-label="View"
        value={current ? `=${current.name}` : ""}
        onChange={(event) => {
          choose(event.currentTarget.value);
          event.currentTarget.value = current ? `=${current.name}` : "";
        }}
      >
        <option value="">Views</option>
        {views.map((view) => (
          <option key={view.name} value={`=${view.name}`}>
            {view.name === byDefault ? `${view.name} (opens first)` : view.name}
          </option>
        ))}
        {here && <option value="none">All runs</option>}
        {!current && <option value="save">Keep this view…</option>}
        {current && <option value="link">Copy a link to {current.name}</option>}
        {current && current.name !== byDefault && (
          <option value="default">Open the experiment with {current.name}</option>
        )}
        {current && current.name === byDefault && (
          <option value="no default">Open the experiment with all runs</option>
        )}
        {current && <option value="remove">Remove {current.name}</option>}
      </select>
      {isNaming && (
        <Dialog title="Keep this view" onClose={() => setNaming(false)}>
          <SheetForm
            action="Keep"
            onClose={() => setNaming(false)}
            onSubmit={async (given) => {
              await save(String(given.get("name")).trim());
              setNaming(false);
            }}
          >
            <p class="quiet">Its filter, order and columns, under a name that everybody sees here.</p>
            <label>
              Name
              <input name="name" required maxLength={100} />
            </label>
          </SheetForm>
        </Dialog>
      )}
    </>
  );
}
