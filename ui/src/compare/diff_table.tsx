/** A row a run, a column for everything in which the runs differ; what is the same in all is folded. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { pageUrl } from "../app/router";
import { isDark } from "../app/theme";
import { markAt, slotOf } from "../charts/marks";
import type { Field } from "../charts/small/values";
import { Swatch } from "../charts/swatch";
import { ago, count, duration, many, moment, shortNumber } from "../lib/format";
import { litRun } from "../runs/lit";
import type { ComparedRun } from "./compared";
import type { Differences } from "./fields";
import { type CompareState, keepBase, keepOrder, keepRuns } from "./state";

interface Props {
  readonly runs: readonly ComparedRun[];
  readonly found: Differences;
  readonly state: CompareState;
  /** Runs that a brush leaves out. */
  readonly dimmed: ReadonlySet<string>;
}

const COLUMNS = 40;

export function DiffTable({ runs, found, state, dimmed }: Props) {
  const [withTags, setWithTags] = useState(false);
  const [most, setMost] = useState(COLUMNS);
  const dark = isDark.value;
  const lit = litRun.value;
  const groups = (
    [
      ["params", found.params],
      ["metrics", found.metrics],
      ["tags", withTags ? found.tags : []],
    ] as const
  )
    .map(([name, fields]) => ({ name, fields: fields.slice(0, most) }))
    .filter((group) => group.fields.length);
  const fields = groups.flatMap((group) => group.fields);
  const base = runs.findIndex((run) => run.id === state.base);
  const order = sorted(runs, [...found.params, ...found.metrics, ...found.tags], state);
  const cut = Math.max(found.params.length, found.metrics.length) - most;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="diff-scroll" tabIndex={0} role="region" aria-label="Runs and their differences">
        <table class="diff-table" onMouseLeave={() => (litRun.value = undefined)}>
          <thead>
            <tr class="groups">
              <td />
              {groups.map((group) => (
                <th key={group.name} scope="colgroup" colSpan={group.fields.length}>
                  {group.name} <span class="quiet">{count(found[group.name].length)} differ</span>
                </th>
              ))}
              <td colSpan={2} />
            </tr>
            <tr>
              <Head name="name" state={state}>
                Run
              </Head>
              {fields.map((field) => (
                <Head key={field.name} name={field.name} state={state} isNumber={!field.names.length}>
                  {field.title}
                </Head>
              ))}
              <Head name="start" state={state}>
                Started
              </Head>
              <th scope="col" class="number">
                Took
              </th>
            </tr>
          </thead>
          <tbody>
            {order.map((at) => {
              const run = runs[at] as ComparedRun;
              const isBase = at === base;
              return (
                <tr
                  key={run.id}
                  class={`${lit === run.id ? "lit " : ""}${isBase ? "base " : ""}${dimmed.has(run.id) ? "dimmed" : ""}`}
                  onMouseEnter={() => (litRun.value = run.id)}
                >
                  <th scope="row">
                    <Swatch mark={markAt(slotOf(run.id), dark)} />
                    <a
                      href={pageUrl(["experiments", run.experiment, "runs", run.id])}
                      title={`${run.name} (${run.status.toLowerCase()})`}
                      onFocus={() => (litRun.value = run.id)}
                      onBlur={() => (litRun.value = undefined)}
                    >
                      {run.name}
                    </a>
                    <button
                      type="button"
                      class="plain"
                      aria-pressed={isBase}
                      aria-label={`Measure the others by ${run.name}`}
                      title="Measure the others by this run"
                      onClick={() => keepBase(isBase ? undefined : run.id)}
                    >
                      ⚑
                    </button>
                    <button
                      type="button"
                      class="plain"
                      aria-label={`Take ${run.name} out`}
                      title="Take it out"
                      onClick={() => keepRuns(runs.filter((each) => each !== run).map((each) => each.id))}
                    >
                      ×
                    </button>
                  </th>
                  {fields.map((field) => (
                    <Cell key={field.name} field={field} at={at} base={base} />
                  ))}
                  <td>
                    {run.start !== undefined && <time title={moment(run.start)}>{ago(run.start)}</time>}
                  </td>
                  <td class="number">
                    {run.start !== undefined && run.end !== undefined && duration(run.end - run.start)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <div class="diff-notes">
        {cut > 0 && (
          <button type="button" onClick={() => setMost(most + 2 * COLUMNS)}>
            {count(cut)} more columns
          </button>
        )}
        {found.tags.length > 0 && (
          <button type="button" aria-pressed={withTags} onClick={() => setWithTags(!withTags)}>
            {count(found.tags.length)} tags differ
          </button>
        )}
        <details class="same">
          <summary>{many(found.same.length, "field is", "fields are")} the same in all runs</summary>
          <dl class="same-fields">
            {found.same.slice(0, 500).map((field) => (
              <div key={field.name}>
                <dt>{field.name}</dt>
                <dd>{field.texts[0]}</dd>
              </div>
            ))}
          </dl>
        </details>
      </div>
    </>
  );
}

function sorted(runs: readonly ComparedRun[], fields: readonly Field[], { sort }: CompareState): number[] {
  const order = runs.map((_, at) => at);
  if (!sort) return order;
  const field = fields.find((each) => each.name === sort.name);
  const way = sort.isDescending ? -1 : 1;
  return order.sort((one, other) => {
    if (sort.name === "name")
      return way * (runs[one]?.name ?? "").localeCompare(runs[other]?.name ?? "", "en", { numeric: true });
    const a = sort.name === "start" ? (runs[one]?.start ?? Number.NaN) : (field?.numbers[one] ?? Number.NaN);
    const b =
      sort.name === "start" ? (runs[other]?.start ?? Number.NaN) : (field?.numbers[other] ?? Number.NaN);
    // those without it are last, whichever way
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return way * (a - b);
  });
}

function Head(props: { name: string; state: CompareState; isNumber?: boolean; children: ComponentChildren }) {
  const { name, state } = props;
  const isMine = state.sort?.name === name;
  const isDown = isMine && state.sort?.isDescending;
  return (
    <th
      scope="col"
      class={props.isNumber ? "number" : ""}
      aria-sort={isMine ? (isDown ? "descending" : "ascending") : "none"}
      title={name}
    >
      <button
        type="button"
        class="plain"
        onClick={() => (isMine && !isDown ? keepOrder(undefined, false) : keepOrder(name, !isMine))}
      >
        {props.children}
        {isMine && <span aria-hidden="true">{isDown ? " ↓" : " ↑"}</span>}
      </button>
    </th>
  );
}

/** A value, and how far it is from that of the base run. */
function Cell({ field, at, base }: { field: Field; at: number; base: number }) {
  const text = field.texts[at];
  if (text === undefined) return <td class="quiet">–</td>;
  const isNumber = field.names.length === 0;
  const value = field.numbers[at] as number;
  const isMetric = field.name.startsWith("metrics.");
  // a param is what was written, or two that differ would look alike
  const plain = isNumber && isMetric ? shortNumber(value) : text;
  if (base < 0 || at === base || field.texts[base] === undefined)
    return (
      <td class={isNumber ? "number" : ""} title={text}>
        {plain}
      </td>
    );
  const isOther = text !== field.texts[base];
  const from = field.numbers[base] as number;
  const by = isMetric && isOther && Number.isFinite(value - from) ? apart(value, from) : "";
  return (
    <td class={`${isNumber ? "number" : ""}${isOther && !isMetric ? " other" : ""}`} title={text}>
      {by && <small class="quiet">{by} </small>}
      {plain}
    </td>
  );
}

function apart(value: number, from: number): string {
  const sign = value > from ? "+" : "−";
  if (from === 0) return sign + shortNumber(Math.abs(value - from));
  const part = Math.abs((value - from) / from) * 100;
  return `${sign}${part >= 1000 ? shortNumber(part) : part >= 10 ? Math.round(part) : part.toFixed(1)}%`;
}
