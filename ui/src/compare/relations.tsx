/** How two or three things go together over the compared runs. */

import { useMemo } from "preact/hooks";
import { isDark } from "../app/theme";
import { markAt, slotOf } from "../charts/marks";
import { importances } from "../charts/small/correlation";
import { Drawing } from "../charts/small/drawing";
import {
  type Canvas,
  type Dot,
  paintBars,
  paintContour,
  paintHistogram,
  paintImportance,
  paintScatter,
} from "../charts/small/paint";
import { type Field, rangeOf } from "../charts/small/values";
import { shortNumber } from "../lib/format";
import type { NamedRun } from "./compared";
import { type CompareState, keepRelation, keepScatter, keepTarget, RELATIONS, type Relation } from "./state";

const HEIGHT = 320;
const NAMES: Readonly<Record<Relation, string>> = {
  scatter: "Scatter",
  contour: "Contour",
  importance: "Importance",
  bars: "Bars",
  histogram: "Histogram",
};

interface Props {
  readonly runs: readonly NamedRun[];
  readonly fields: readonly Field[];
  readonly target: Field;
  readonly state: CompareState;
}

export function Relations({ runs, fields, target, state }: Props) {
  const dark = isDark.value;
  const dots = useMemo<readonly Dot[]>(
    () =>
      runs.map((run) => {
        const mark = markAt(slotOf(run.id), dark);
        return { run: run.id, name: run.name, colour: mark.colour, marker: mark.marker };
      }),
    [runs, dark],
  );
  const named = (name: string | undefined) => fields.find((field) => field.name === name);
  const found = useMemo(
    () =>
      importances(
        fields.filter((field) => field.name.startsWith("params.")),
        target,
      ),
    [fields, target],
  );
  const x = named(state.scatter[0]) ?? found[0]?.field ?? (fields[0] as Field);
  const y =
    named(state.scatter[1]) ??
    (state.relation === "contour" ? (fields.find((field) => field !== x) ?? target) : target);
  const colour =
    state.scatter[2] === "none"
      ? undefined
      : (named(state.scatter[2]) ?? (state.relation === "contour" ? target : undefined));
  const draw = useMemo(() => {
    const draws: Readonly<Record<Relation, (canvas: Canvas) => ReturnType<typeof paintBars>>> = {
      scatter: (canvas) => paintScatter(canvas, x, y, colour, dots),
      contour: (canvas) => paintContour(canvas, x, y, colour ?? target, dots),
      importance: (canvas) => paintImportance(canvas, found),
      bars: (canvas) => paintBars(canvas, target, dots),
      histogram: (canvas) => paintHistogram(canvas, target),
    };
    return draws[state.relation];
  }, [state.relation, x, y, colour, target, found, dots]);
  const isFields = state.relation === "scatter" || state.relation === "contour";
  const keep = (place: number, name: string) => {
    const next = [x.name, y.name, colour?.name ?? "none"];
    next[place] = name;
    keepScatter(next);
  };
  const title = titleOf(state.relation, x, y, colour ?? target, target);
  return (
    <>
      <div class="tools inner" role="group" aria-label="What is drawn">
        {RELATIONS.map((relation) => (
          <button
            key={relation}
            type="button"
            aria-pressed={state.relation === relation}
            onClick={() => keepRelation(relation)}
          >
            {NAMES[relation]}
          </button>
        ))}
        {isFields ? (
          <>
            <Choice label="x" value={x.name} fields={fields} onChoose={(name) => keep(0, name)} />
            <Choice label="y" value={y.name} fields={fields} onChoose={(name) => keep(1, name)} />
            <Choice
              label="colour"
              value={colour?.name ?? "none"}
              fields={fields}
              withNone={state.relation === "scatter"}
              onChoose={(name) => keep(2, name)}
            />
          </>
        ) : (
          <Choice
            label="of"
            value={target.name}
            fields={fields.filter(
              (field) => field.name.startsWith("metrics.") || state.relation === "histogram",
            )}
            onChoose={keepTarget}
          />
        )}
      </div>
      {state.relation === "importance" && (
        <p class="quiet">
          Rank correlation (Spearman) of each param with {target.title} over {runs.length} runs; for params
          that are names, eta of the ranks (paler, without a sign). It shows what goes together, not what
          causes it{runs.length < 20 ? "; of so few runs, chance is part of it" : ""}.
        </p>
      )}
      {state.relation === "importance" && found.length === 0 ? (
        <p class="quiet">It takes four runs with this metric and a param that differs.</p>
      ) : (
        <Drawing
          title={title}
          summary={
            state.relation === "importance"
              ? found
                  .slice(0, 10)
                  .map((each) => `${each.field.title} ${each.value.toFixed(2)}`)
                  .join(", ")
              : `${title}, ${runs.length} runs. ${(isFields ? [x, y] : [target]).map(extentText).join(" ")} The values are in the table above.`
          }
          height={
            state.relation === "bars"
              ? Math.min(900, 16 * runs.length + 12)
              : state.relation === "importance"
                ? Math.min(HEIGHT, 18 * found.length + 30)
                : HEIGHT
          }
          draw={draw}
        />
      )}
    </>
  );
}

function extentText(field: Field): string {
  const [low, high] = rangeOf(field.numbers);
  if (field.names.length > 0) return `${field.title}: ${field.names.slice(0, 10).join(", ")}.`;
  return Number.isFinite(low) ? `${field.title} from ${shortNumber(low)} to ${shortNumber(high)}.` : "";
}

function titleOf(relation: Relation, x: Field, y: Field, z: Field, target: Field): string {
  if (relation === "scatter") return `${y.title} by ${x.title}`;
  if (relation === "contour") return `${z.title} by ${x.title} and ${y.title}`;
  if (relation === "importance") return `What goes with ${target.title}`;
  return target.title;
}

function Choice(props: {
  label: string;
  value: string;
  fields: readonly Field[];
  withNone?: boolean;
  onChoose: (name: string) => void;
}) {
  return (
    <label>
      {props.label}
      <select value={props.value} onChange={(event) => props.onChoose(event.currentTarget.value)}>
        {props.withNone && <option value="none">each run</option>}
        {props.fields.slice(0, 300).map((field) => (
          <option key={field.name} value={field.name}>
            {field.name}
          </option>
        ))}
      </select>
    </label>
  );
}
