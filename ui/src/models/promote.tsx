/** Giving a version an alias: with a preview of what changes for those who load it, and a reason that is kept. */

import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Dialog } from "../app/dialog";
import { SheetForm } from "../app/sheet_form";
import { Failure } from "../app/states";
import { tell, tellFailure } from "../app/toasts";
import type { Alias } from "./messages";
import { moveAlias, putAlias, readWhole } from "./requests";
import { VersionDifferences } from "./version_differences";

/** Offered where a model has no alias yet. */
const USUAL = ["champion", "challenger"];

interface Props {
  readonly name: string;
  readonly version: string;
  readonly aliases: readonly Alias[];
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function Promote({ name, version, aliases, onClose, onDone }: Props) {
  const elsewhere = aliases.filter((each) => each.version !== version);
  const offers = [...new Set([...elsewhere.map((each) => each.alias), ...USUAL])].filter(
    (alias) => !aliases.some((each) => each.alias === alias && each.version === version),
  );
  const first = offers.includes("champion") ? "champion" : (offers[0] ?? "");
  const [alias, setAlias] = useState(first);
  const holder = aliases.find((each) => each.alias === alias)?.version;
  const isHere = holder === version;
  return (
    <Dialog title={`Give version ${version} of ${name} an alias`} kind="wide" onClose={onClose}>
      <SheetForm
        isEager
        action={holder && !isHere ? `Move @${alias} from v${holder} to v${version}` : `Set @${alias || "…"}`}
        isReady={alias !== "" && !isHere}
        onClose={onClose}
        onSubmit={async (given) => {
          const undo = await moveAlias(name, alias, holder, version, String(given.get("reason")).trim());
          onClose();
          onDone();
          tell(`@${alias} is now version ${version}.`, {
            undo: () => void undo().then(onDone, tellFailure),
          });
        }}
      >
        <div class="buttons" role="group" aria-label="Aliases">
          {offers.map((each) => (
            <button key={each} type="button" aria-pressed={alias === each} onClick={() => setAlias(each)}>
              @{each}
            </button>
          ))}
          <input
            class="short"
            aria-label="Another alias"
            placeholder="another"
            value={offers.includes(alias) ? "" : alias}
            maxLength={255}
            onInput={(event) => setAlias(event.currentTarget.value.trim().replace(/^@/, ""))}
          />
        </div>
        <label>
          Why (kept with the version)
          <input name="reason" maxLength={2000} autocomplete="off" />
        </label>
        {holder && !isHere ? (
          <Preview key={holder} name={name} before={holder} after={version} alias={alias} />
        ) : (
          <p class="quiet">
            {isHere
              ? `@${alias} is this version already.`
              : "No version has this alias: nobody's model changes."}
          </p>
        )}
      </SheetForm>
    </Dialog>
  );
}

function Preview({
  name,
  before,
  after,
  alias,
}: {
  name: string;
  before: string;
  after: string;
  alias: string;
}) {
  const both = useResource(`${name} ${before} ${after}`, (abort) =>
    Promise.all([readWhole(name, before, abort), readWhole(name, after, abort)]),
  );
  const found = both.value.value;
  return (
    <section aria-label="What would change" aria-busy={both.isLoading.value}>
      <h3>
        What would change for those who load models:/{name}@{alias}
      </h3>
      {both.error.value ? (
        <Failure error={both.error.value} retry={() => void both.reload()} />
      ) : (
        <VersionDifferences before={found?.[0]} after={found?.[1]} isAll={false} />
      )}
    </section>
  );
}

/** Take an alias off, which can be undone. */
export async function dropAlias(name: string, { alias, version }: Alias, onDone: () => void): Promise<void> {
  try {
    await putAlias(name, alias, undefined);
    onDone();
    tell(`@${alias} is taken off version ${version}.`, {
      undo: () => void putAlias(name, alias, version).then(onDone, tellFailure),
    });
  } catch (error) {
    tellFailure(error);
  }
}
