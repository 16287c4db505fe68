/** Making a version of a registered model from a model that a run has logged. */

import { useState } from "preact/hooks";
import { ApiError, mlflow } from "../api/request";
import { useResource } from "../api/resource";
import type { ModelVersionResponse, SearchRegisteredModelsResponse } from "../api/schema";
import { Dialog } from "../app/dialog";
import { go } from "../app/router";
import { SheetForm } from "../app/sheet_form";
import { tell } from "../app/toasts";
import { visibleLine } from "../lib/visible";
import { versionUrl } from "./marks";
import { createModel } from "./requests";

const OFFERED = 100;

export function RegisterSheet(props: { run: string; model: string; name: string; onClose: () => void }) {
  const { run, model, name, onClose } = props;
  const [to, setTo] = useState("");
  const known = useResource("models", async (abort) => {
    const found = await mlflow.get<SearchRegisteredModelsResponse>(
      "registered-models/search",
      { max_results: OFFERED },
      abort,
    );
    return (found.registered_models ?? []).map((each) => each.name ?? "");
  });
  const names = known.value.value;
  return (
    <Dialog title={`Register ${visibleLine(name)}`} onClose={onClose}>
      <SheetForm
        action="Register"
        isReady={to.trim() !== ""}
        onClose={onClose}
        onSubmit={async (_, isOpen) => {
          const chosen = to.trim();
          if (!names?.includes(chosen)) await createModel(chosen, "").catch(unlessThere);
          const made = await mlflow.post<ModelVersionResponse>("model-versions/create", {
            name: chosen,
            source: `models:/${model}`,
            run_id: run,
            model_id: model,
          });
          const isHere = isOpen();
          onClose();
          tell(`Registered as version ${made.model_version.version} of ${visibleLine(chosen)}.`);
          if (isHere) go(versionUrl(chosen, made.model_version.version));
        }}
      >
        <label>
          Name of the registered model
          <input
            list="registered-models"
            value={to}
            required
            maxLength={256}
            autocomplete="off"
            onInput={(event) => setTo(event.currentTarget.value)}
          />
        </label>
        <datalist id="registered-models">
          {names?.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <p class="quiet" role="status">
          {to.trim() === "" || !names
            ? "One that exists gets another version."
            : names.includes(to.trim())
              ? `${visibleLine(to.trim())} gets another version.`
              : names.length < OFFERED
                ? `${visibleLine(to.trim())} is new: it gets its first version.`
                : "If there is no such model, it is made."}
        </p>
      </SheetForm>
    </Dialog>
  );
}

/** There may be more models than were offered. */
function unlessThere(error: unknown): void {
  if (!(error instanceof ApiError) || error.code !== "RESOURCE_ALREADY_EXISTS") throw error;
}
