/** Which columns a runs table shows, chosen from what its runs have; up to thousands, found by name. */

import { useState } from "preact/hooks";
import { own } from "../api/request";
import { useResource } from "../api/resource";
import { Dialog } from "../app/dialog";
import { Failure } from "../app/states";
import { count, shortNumber } from "../lib/format";
import { AGGREGATES, type Aggregate, fieldNamed, nameOf, titleOf } from "./columns";

export interface KnownColumn {
  key: string;
  kind: "number" | "text" | "time";
  runs: number;
  distinct: number;
  varies: boolean;
  range?: [number, number] | null;
}

export interface KnownColumns {
  total: number;
  columns: KnownColumn[];
}

const SHOWN = 200;

export function readColumns(
  experiments: readonly string[],
  filter: string,
  search: string,
  limit: number,
  abort?: AbortSignal,
  kinds: readonly string[] = [],
  sampledOnly = false,
): Promise<KnownColumns> {
  const body = { experiment_ids: experiments, filter, search, limit, kinds, sampled_only: sampledOnly };
  return own.post("runs/columns", body, abort);
}

interface Props {
  readonly experiments: readonly string[];
  readonly filter: string;
  readonly shown: readonly string[];
  readonly onChange: (names: readonly string[] | undefined) => void;
  readonly onClose: () => void;
}

export function ColumnPicker({ experiments, filter, shown, onChange, onClose }: Props) {
  const [search, setSearch] = useState("");
  const [withConstant, setWithConstant] = useState(false);
  // What the newest runs have is known at once; of a large experiment that nobody has looked at, all of it takes a second.
  const soon = useResource("", (abort) => readColumns(experiments, filter, "", SHOWN, abort, [], true));
  const exact = useResource(search, (abort) => readColumns(experiments, filter, search, SHOWN, abort));
  const known = exact.value.value || search ? exact : soon;
  const found = (known.value.value?.columns ?? []).filter((each) => withConstant || each.varies || search);
  const toggle = (name: string) =>
    onChange(shown.includes(name) ? shown.filter((each) => each !== name) : [...shown, name]);
  const move = (name: string, by: number) => {
    const at = shown.indexOf(name);
    const next = [...shown];
    next.splice(at, 1);
    next.splice(Math.max(0, at + by), 0, name);
    onChange(next);
  };
  return (
    <Dialog kind="picker" title="Columns" onClose={onClose}>
      <section aria-label="Shown">
        <ol class="shown">
          {shown.map((name) => {
            const field = fieldNamed(name);
            if (!field) return null;
            return (
              <li key={name}>
                <span>
                  {titleOf({ ...field, aggregate: "last" })} <small class="quiet">{field.entity}</small>
                </span>
                {field.entity === "metrics" && (
                  <select
                    aria-label={`Which value of ${field.key}`}
                    value={field.aggregate}
                    onChange={(event) => {
                      const aggregate = event.currentTarget.value as Aggregate;
                      onChange(shown.map((each) => (each === name ? nameOf({ ...field, aggregate }) : each)));
                    }}
                  >
                    {AGGREGATES.map((each) => (
                      <option key={each}>{each}</option>
                    ))}
                    <option value="step">at step</option>
                  </select>
                )}
                {field.aggregate === "step" && (
                  <input
                    type="number"
                    class="step"
                    aria-label={`Which step of ${field.key}; without a value there, the nearest before`}
                    title="Without a value at this step, the nearest before is shown"
                    // not `value`: what is drawn anew meanwhile must not take back what is typed
                    defaultValue={String(field.step ?? 0)}
                    onChange={(event) => {
                      const step = Math.round(Number(event.currentTarget.value));
                      if (!Number.isSafeInteger(step)) return;
                      onChange(shown.map((each) => (each === name ? nameOf({ ...field, step }) : each)));
                    }}
                  />
                )}
                <button
                  type="button"
                  class="plain"
                  aria-label={`Move ${field.key} up`}
                  onClick={() => move(name, -1)}
                >
                  ↑
                </button>
                <button
                  type="button"
                  class="plain"
                  aria-label={`Move ${field.key} down`}
                  onClick={() => move(name, 1)}
                >
                  ↓
                </button>
                <button
                  type="button"
                  class="plain"
                  aria-label={`Hide ${field.key}`}
                  onClick={() => toggle(name)}
                >
                  ×
                </button>
              </li>
            );
          })}
        </ol>
      </section>
      <input
        type="search"
        aria-label="Find a column"
        placeholder="Find a column"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <label class="line-label">
        <input type="checkbox" checked={withConstant} onChange={() => setWithConstant(!withConstant)} />
        also those that are the same in all runs
      </label>
      {exact.error.value && <Failure error={exact.error.value} retry={exact.reload} />}
      <ul class="known">
        {found.map((column) => (
          <li key={column.key}>
            <label>
              <input
                type="checkbox"
                checked={shown.includes(column.key)}
                onChange={() => toggle(column.key)}
              />
              <span>{column.key.slice(column.key.indexOf(".") + 1)}</span>
              <small class="quiet">
                {column.key.slice(0, column.key.indexOf("."))} · {count(column.runs)} runs
                {column.range ? ` · ${shortNumber(column.range[0])} to ${shortNumber(column.range[1])}` : ""}
              </small>
            </label>
          </li>
        ))}
      </ul>
      {known.value.value && known.value.value.total > SHOWN && (
        <p class="quiet">
          {count(known.value.value.total)} columns; the first {SHOWN} are listed. Find others by name.
        </p>
      )}
      <form method="dialog" class="buttons">
        <button type="button" onClick={() => onChange(undefined)}>
          Those that differ
        </button>
        <button type="submit">Done</button>
      </form>
    </Dialog>
  );
}
