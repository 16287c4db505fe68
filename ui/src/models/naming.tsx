/** Making, renaming and deleting registered models. */

import { useState } from "preact/hooks";
import type { RegisteredModelMessage } from "../api/schema";
import { Dialog } from "../app/dialog";
import { go, pageUrl } from "../app/router";
import { SheetForm } from "../app/sheet_form";
import { tell, tellFailure } from "../app/toasts";
import { createModel, deleteModel, renameModel } from "./requests";

export function NewModel({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="New model" onClose={onClose}>
      <SheetForm
        action="Create"
        onClose={onClose}
        onSubmit={async (given, isOpen) => {
          const name = String(given.get("name")).trim();
          await createModel(name, String(given.get("description")));
          if (!isOpen()) {
            tell(`The model ${name} is made.`);
            return;
          }
          onClose();
          go(pageUrl(["models", name]));
        }}
      >
        <label>
          Name
          <input name="name" required maxLength={256} />
        </label>
        <label>
          Description (Markdown)
          <textarea name="description" rows={3} />
        </label>
      </SheetForm>
    </Dialog>
  );
}

export function RenameModel({
  name,
  onClose,
  onDone,
}: {
  name: string;
  onClose: () => void;
  onDone: (to: string, from: string) => void;
}) {
  return (
    <Dialog title={`Rename ${name}`} onClose={onClose}>
      <p>
        Versions, aliases and tags go along. Whoever loads <code>models:/{name}/…</code> must be told: the old
        name stops working.
      </p>
      <SheetForm
        action="Rename"
        onClose={onClose}
        onSubmit={async (given) => {
          const next = String(given.get("name")).trim();
          await renameModel(name, next);
          onClose();
          onDone(next, name);
          tell(`${name} is now ${next}.`, {
            undo: () => void renameModel(next, name).then(() => onDone(name, next), tellFailure),
          });
        }}
      >
        <label>
          New name
          <input name="name" required maxLength={256} defaultValue={name} />
        </label>
      </SheetForm>
    </Dialog>
  );
}

/** Why a model should not be deleted now: what would stop working at once. */
export function reasonsAgainst(model: RegisteredModelMessage): string[] {
  const reasons = (model.aliases ?? []).map(
    (each) => `The alias @${each.alias} points to version ${each.version}: whoever loads it would fail.`,
  );
  for (const version of model.latest_versions ?? [])
    if (version.current_stage === "Production" || version.current_stage === "Staging")
      reasons.push(`Version ${version.version} is in the stage ${version.current_stage}.`);
  return reasons;
}

interface DeleteProps {
  readonly model: RegisteredModelMessage;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function DeleteModel({ model, onClose, onDone }: DeleteProps) {
  const { name } = model;
  const reasons = reasonsAgainst(model);
  const isEmpty = (model.latest_versions ?? []).length === 0;
  const [typed, setTyped] = useState("");
  if (reasons.length > 0)
    return (
      <Dialog title={`${name} is in use`} onClose={onClose}>
        <p>It is not deleted, because:</p>
        <ul>
          {reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
        <p>Take the aliases off and archive the versions first, on the model's page.</p>
        <form method="dialog" class="buttons">
          <button type="submit">Close</button>
          <a class="button" href={pageUrl(["models", name])} onClick={onClose}>
            Go to the model
          </a>
        </form>
      </Dialog>
    );
  return (
    <Dialog title={`Delete ${name}?`} onClose={onClose}>
      {isEmpty ? (
        <p>It has no versions. This can be undone for a moment.</p>
      ) : (
        <p>
          All its versions go with it, and this cannot be undone. The runs that made them, and their files,
          stay. Type the name to go on.
        </p>
      )}
      <SheetForm
        action="Delete"
        isDangerous
        isReady={isEmpty || typed === name}
        onClose={onClose}
        onSubmit={async () => {
          await deleteModel(name);
          onClose();
          onDone();
          if (!isEmpty) tell(`${name} is deleted.`);
          else
            tell(`${name} is deleted.`, {
              undo: () =>
                void createModel(
                  name,
                  model.description ?? "",
                  (model.tags ?? []).map((tag) => ({ key: tag.key, value: tag.value ?? "" })),
                ).then(() => {
                  onDone();
                  go(pageUrl(["models", name]));
                }, tellFailure),
            });
        }}
      >
        {!isEmpty && (
          <label>
            Name
            <input
              value={typed}
              autocomplete="off"
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
      </SheetForm>
    </Dialog>
  );
}
