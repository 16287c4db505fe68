/** Moving a version to a stage, with a reason that is kept. */

import { useState } from "preact/hooks";
import { Dialog } from "../app/dialog";
import { SheetForm } from "../app/sheet_form";
import { tell, tellFailure } from "../app/toasts";
import { type ModelVersion, STAGES } from "./messages";
import { moveStage, readVersions } from "./requests";

interface Props {
  readonly version: ModelVersion;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function MoveStage({ version, onClose, onDone }: Props) {
  const [stage, setStage] = useState<string>(
    version.current_stage === "Production" ? "Archived" : "Production",
  );
  const isLive = stage === "Production" || stage === "Staging";
  return (
    <Dialog title={`Stage of version ${version.version}`} onClose={onClose}>
      <p class="quiet">
        It is in {version.current_stage === "None" ? "no stage" : version.current_stage} now.
      </p>
      <SheetForm
        isEager
        action={stage === "None" ? "Take the stage off" : `Move to ${stage}`}
        isReady={stage !== version.current_stage}
        onClose={onClose}
        onSubmit={async (given) => {
          const isArchiving = isLive && given.get("archive") === "on";
          const others = isArchiving
            ? (await readVersions({ name: version.name, limit: 1000 })).versions.map((each) => each.version)
            : [];
          const undo = await moveStage(
            version.name,
            version,
            stage,
            others,
            isArchiving,
            String(given.get("reason")).trim(),
          );
          onClose();
          onDone();
          tell(`Version ${version.version} is in ${stage === "None" ? "no stage" : stage}.`, {
            undo: () => void undo().then(onDone, tellFailure),
          });
        }}
      >
        <div class="buttons" role="group" aria-label="Stages">
          {STAGES.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={stage === each}
              disabled={each === version.current_stage}
              onClick={() => setStage(each)}
            >
              {each}
            </button>
          ))}
        </div>
        {isLive && (
          <label class="line-label">
            <input type="checkbox" name="archive" />
            Archive the versions that are in {stage} now
          </label>
        )}
        <label>
          Why (kept with the version)
          <input name="reason" maxLength={2000} autocomplete="off" />
        </label>
      </SheetForm>
    </Dialog>
  );
}
