/**
 * Views of a runs table that are kept under a name: filter, order, columns and the rest of the address, for everybody who looks at
 * the experiment. They are tags of the experiment, so any client of the API can read and write them.
 */

import { useState } from "preact/hooks";
import { mlflow } from "../api/request";
import type { ExperimentMessage } from "../api/schema";
import { go, url } from "../app/router";
import { tell, tellFailure } from "../app/toasts";

const TAG = "slipstream.view.";
/** Who selects runs does not mean to select them for all others. */
const NOT_KEPT = ["chosen"];

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
  for (const name of NOT_KEPT) params.delete(name);
  return params.toString();
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
  const save = async (name: string) => {
    await mlflow.post("experiments/set-experiment-tag", { experiment_id: id, key: TAG + name, value: here });
    onChange();
    tell(`The view ${name} is kept for everybody who looks at this experiment.`);
  };
  const remove = async (view: View) => {
    const key = TAG + view.name;
    await mlflow.post("experiments/delete-experiment-tag", { experiment_id: id, key });
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
            {view.name}
          </option>
        ))}
        {!current && <option value="save">Keep this view…</option>}
        {current && <option value="remove">Remove {current.name}</option>}
      </select>
      {isNaming && (
        <dialog
          class="sheet"
          aria-labelledby="view-title"
          onClose={() => setNaming(false)}
          ref={(element) => {
            if (element?.isConnected && !element.open) element.showModal();
          }}
        >
          <form
            onSubmit={(event) => {
              event.preventDefault();
              const name = String(new FormData(event.currentTarget as HTMLFormElement).get("name")).trim();
              save(name).catch(tellFailure);
              setNaming(false);
            }}
          >
            <h2 id="view-title">Keep this view</h2>
            <p class="quiet">Its filter, order and columns, under a name that everybody sees here.</p>
            <label>
              Name
              <input name="name" required maxLength={100} />
            </label>
            <button type="submit">Keep</button>
          </form>
        </dialog>
      )}
    </>
  );
}
