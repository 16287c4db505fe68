/** Deleting a version: refused while something points to it, since there is no way back. */

import { Dialog } from "../app/dialog";
import { SheetForm } from "../app/sheet_form";
import { tell } from "../app/toasts";
import type { VersionRow } from "./messages";
import { deleteVersion } from "./requests";

interface DeleteVersionProps {
  readonly row: VersionRow;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function DeleteVersion({ row, onClose, onDone }: DeleteVersionProps) {
  const { name, version, current_stage } = row.version;
  const reasons = (row.version.aliases ?? []).map((alias) => `The alias @${alias} points to it.`);
  if (current_stage === "Production" || current_stage === "Staging")
    reasons.push(`It is in the stage ${current_stage}.`);
  return (
    <Dialog
      title={reasons.length ? `Version ${version} is in use` : `Delete version ${version}?`}
      onClose={onClose}
    >
      {reasons.length ? (
        <>
          <p>It is not deleted, because:</p>
          <ul>
            {reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
          <form method="dialog" class="buttons">
            <button type="submit">Close</button>
          </form>
        </>
      ) : (
        <>
          <p>
            The version goes and cannot be brought back; its number is not given again. The run that made it,
            and its files, stay.
          </p>
          <SheetForm
            action="Delete"
            isDangerous
            onClose={onClose}
            onSubmit={async () => {
              await deleteVersion(name, version);
              onClose();
              onDone();
              tell(`Version ${version} of ${name} is deleted.`);
            }}
          >
            {null}
          </SheetForm>
        </>
      )}
    </Dialog>
  );
}
