/** To which experiment the selected runs go: one of the latest used, or one that is searched for. */

import { useState } from "preact/hooks";
import { own } from "../api/request";
import { useResource } from "../api/resource";
import type { ExperimentsOverviewResponse } from "../api/schema";
import { Dialog } from "../app/dialog";
import { SheetForm } from "../app/sheet_form";
import { count } from "../lib/format";

const SHOWN = 100;

interface Props {
  readonly title: string;
  /** The experiment that they are in. */
  readonly from: string;
  readonly onClose: () => void;
  readonly onMove: (experiment: string) => Promise<void>;
}

export function MoveDialog({ title, from, onClose, onMove }: Props) {
  const [to, setTo] = useState("");
  const [words, setWords] = useState("");
  const found = useResource(words, (abort) =>
    own.get<ExperimentsOverviewResponse>("experiments/overview", { search: words, limit: SHOWN }, abort),
  );
  const { total = 0, experiments = [] } = found.value.value ?? {};
  const others = experiments.filter((each) => each.experiment_id !== from);
  const chosen = others.some((each) => each.experiment_id === to) ? to : "";
  const isSearched = words !== "" || total > SHOWN;
  return (
    <Dialog title={title} onClose={onClose}>
      <SheetForm action="Move" isReady={chosen !== ""} onSubmit={() => onMove(chosen)} onClose={onClose}>
        {isSearched && (
          <label>
            Experiments whose names contain
            <input type="search" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
          </label>
        )}
        <label>
          To the experiment
          <select required value={chosen} onChange={(event) => setTo(event.currentTarget.value)}>
            <option value="">
              Choose one{total > SHOWN ? ` of the ${SHOWN} latest of ${count(total)}` : ""}
            </option>
            {others.map((each) => (
              <option key={each.experiment_id} value={each.experiment_id}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
        {found.error.value && <p role="alert">{found.error.value.message}</p>}
      </SheetForm>
    </Dialog>
  );
}
