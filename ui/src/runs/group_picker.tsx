/** What the runs of a table are grouped by, and which number of each group is shown. */

import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Dialog } from "../app/dialog";
import { Failure } from "../app/states";
import { count } from "../lib/format";
import { readColumns } from "./column_picker";
import { fieldNamed, titleOf } from "./columns";
import { STATISTICS, type Statistic } from "./groups";

const SHOWN = 200;
const MOST = 10;
const NAMES: Readonly<Record<Statistic, string>> = {
  mean: "mean ± deviation",
  median: "median",
  min: "least",
  max: "largest",
  std: "deviation",
};

interface Props {
  readonly experiments: readonly string[];
  readonly filter: string;
  readonly by: readonly string[];
  readonly statistic: Statistic;
  readonly onChange: (by: readonly string[], statistic: Statistic) => void;
  readonly onClose: () => void;
}

export function GroupPicker({ experiments, filter, by, statistic, onChange, onClose }: Props) {
  const [search, setSearch] = useState("");
  const known = useResource(search, (abort) =>
    readColumns(experiments, filter, search, SHOWN, abort, ["params", "tags"]),
  );
  const found = (known.value.value?.columns ?? []).filter((each) => each.varies || search);
  const names = [...by, ...found.map((each) => each.key).filter((key) => !by.includes(key))];
  const runsOf = new Map(found.map((each) => [each.key, each]));
  const toggle = (name: string) =>
    onChange(by.includes(name) ? by.filter((each) => each !== name) : [...by, name], statistic);
  return (
    <Dialog kind="picker" title="Group runs by" onClose={onClose}>
      <input
        type="search"
        aria-label="Find a param or tag"
        placeholder="Find a param or tag"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      {known.error.value && <Failure error={known.error.value} retry={known.reload} />}
      {known.value.value && names.length === 0 && (
        <p class="quiet">{search ? "None has such a name." : "No param or tag differs among these runs."}</p>
      )}
      <ul class="known">
        {names.map((name) => {
          const field = fieldNamed(name);
          const column = runsOf.get(name);
          return (
            <li key={name}>
              <label>
                <input
                  type="checkbox"
                  checked={by.includes(name)}
                  disabled={by.length >= MOST && !by.includes(name)}
                  onChange={() => toggle(name)}
                />
                <span>{field ? titleOf(field) : name}</span>
                <small class="quiet">
                  {field?.entity}
                  {column && ` · ${count(column.distinct)} values in ${count(column.runs)} runs`}
                </small>
              </label>
            </li>
          );
        })}
      </ul>
      <label class="line-label">
        of metrics show
        <select
          value={statistic}
          onChange={(event) =>
            onChange(by, STATISTICS.find((each) => each === event.currentTarget.value) ?? "mean")
          }
        >
          {STATISTICS.map((each) => (
            <option key={each} value={each}>
              {NAMES[each]}
            </option>
          ))}
        </select>
      </label>
      <form method="dialog" class="buttons">
        <button type="button" disabled={by.length === 0} onClick={() => onChange([], statistic)}>
          Each run by itself
        </button>
        <button type="submit">Done</button>
      </form>
    </Dialog>
  );
}
