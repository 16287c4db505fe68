/**
 * Parallel coordinates: an axis for each param and metric that differs, a line for each run. A drag along an axis, or up
 * and down on its name, keeps the runs that pass there; axes are moved by dragging their names, or by the arrow keys on them.
 */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { isDark } from "../app/theme";
import { inks } from "../charts/inks";
import { sized } from "../charts/line_chart";
import { markAt, slotOf } from "../charts/marks";
import { canvasPen } from "../charts/pen";
import { type Scale, share, valueAt } from "../charts/scale";
import { colourAt } from "../charts/small/colours";
import { scaleFor, ticksFor } from "../charts/small/paint";
import type { Field } from "../charts/small/values";
import { litRun } from "../runs/lit";
import type { NamedRun } from "./compared";
import { type Brush, keepAxes, keepBrushes } from "./state";

interface Props {
  readonly runs: readonly NamedRun[];
  readonly axes: readonly Field[];
  readonly all: readonly Field[];
  readonly brushes: readonly Brush[];
  readonly dimmed: ReadonlySet<string>;
  readonly target: Field | undefined;
}

const HEIGHT = 260;
const TOP = 14;
const BOTTOM = 14;
const SIDE = 60;
const NEAR = 10;

export function Parallel({ runs, axes, all, brushes, dimmed, target }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [draft, setDraft] = useState<Brush | undefined>(undefined);
  const drag = useRef<{ axis: number; part: number } | undefined>(undefined);
  const dark = isDark.value;
  const ink = inks();
  const lit = litRun.value;
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const size = new ResizeObserver(() => setWidth(element.clientWidth));
    size.observe(element);
    setWidth(element.clientWidth);
    return () => size.disconnect();
  }, []);
  const scales = useMemo(() => axes.map((axis) => scaleFor(axis, 0.02)), [axes]);
  const placeX = (axis: number) =>
    SIDE + (axes.length < 2 ? 0.5 : axis / (axes.length - 1)) * (width - 2 * SIDE);
  // a line is broken where a run has no value, or none that an axis has
  const placeY = (scale: Scale, value: number) =>
    Number.isFinite(value) ? TOP + (1 - share(scale, value)) * (HEIGHT - TOP - BOTTOM) : Number.NaN;
  const lines = useMemo(
    () =>
      runs.map((run, at) => ({
        run,
        y: Float64Array.from(axes, (axis, index) =>
          placeY(scales[index] as Scale, axis.numbers[at] as number),
        ),
      })),
    [runs, axes, scales],
  );
  const targetScale = useMemo(() => target && scaleFor(target, 0), [target]);
  const colourOf = (at: number) =>
    target && targetScale
      ? colourAt(share(targetScale, target.numbers[at] as number))
      : markAt(slotOf((runs[at] as NamedRun).id), dark).colour;

  useLayoutEffect(() => {
    if (width < 100) return;
    const context = sized(canvas.current, { width, height: HEIGHT });
    if (!context) return;
    const pen = canvasPen(context);
    const xs = axes.map((_, at) => placeX(at));
    const isOne = lit !== undefined && lines.some((line) => line.run.id === lit);
    lines.forEach(({ run, y }, at) => {
      if (run.id === lit) return;
      const isAway = dimmed.has(run.id);
      pen.line(xs, y, {
        colour: isAway ? ink.line : colourOf(at),
        width: 1.5,
        alpha: isAway ? 0.6 : isOne ? 0.3 : 0.85,
      });
    });
    lines.forEach(({ run, y }, at) => {
      if (run.id === lit) pen.line(xs, y, { colour: colourOf(at), width: 3.5 });
    });
    axes.forEach((axis, index) => {
      const x = Math.round(xs[index] as number) + 0.5;
      const scale = scales[index] as Scale;
      pen.line([x, x], [TOP, HEIGHT - BOTTOM], { colour: ink.quiet, width: 1 });
      const isLast = index === axes.length - 1;
      for (const tick of ticksFor(axis, scale, 6)) {
        const y = placeY(scale, tick.value);
        const side = isLast ? 5 : -5;
        const room = tick.label.length * 6.3 + 2;
        pen.box({ left: isLast ? x + 4 : x - 4 - room, top: y - 7, width: room, height: 14 }, ink.back, 0.75);
        pen.text(tick.label, x + side, y, { colour: ink.text, align: isLast ? "left" : "right" });
      }
      const brush = draft?.name === axis.name ? draft : brushes.find((each) => each.name === axis.name);
      if (!brush) return;
      const from = placeY(scale, brush.to);
      pen.box(
        { left: x - 6, top: from, width: 12, height: Math.max(2, placeY(scale, brush.from) - from) },
        ink.accent,
        0.4,
      );
    });
  }, [width, lines, axes, scales, dimmed, lit, dark, ink, brushes, draft, target]);

  const placeOf = (event: PointerEvent | MouseEvent) => {
    const rect = canvas.current?.getBoundingClientRect();
    const x = event.clientX - (rect?.left ?? 0);
    const y = event.clientY - (rect?.top ?? 0);
    const part = Math.min(1, Math.max(0, 1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)));
    let axis = 0;
    for (let at = 1; at < axes.length; at++)
      if (Math.abs(placeX(at) - x) < Math.abs(placeX(axis) - x)) axis = at;
    return { x, y, part, axis, isOn: Math.abs(placeX(axis) - x) < 14 };
  };
  const brushFrom = (axis: number, one: number, other: number): Brush | undefined => {
    const field = axes[axis];
    const scale = scales[axis];
    if (!field || !scale) return undefined;
    return {
      name: field.name,
      from: valueAt(scale, Math.min(one, other)),
      to: valueAt(scale, Math.max(one, other)),
    };
  };
  const others = (name: string | undefined) => brushes.filter((each) => each.name !== name);
  /** Leave out a tenth of the axis, of its lower or its upper end. */
  const narrow = (at: number, isUp: boolean) => {
    const scale = scales[at];
    const now = brushes.find((each) => each.name === axes[at]?.name);
    if (!scale) return;
    const from = now ? share(scale, now.from) : 0;
    const to = now ? share(scale, now.to) : 1;
    if (to - from < 0.15) return;
    const next = isUp ? brushFrom(at, from + 0.1, to) : brushFrom(at, from, to - 0.1);
    if (next) keepBrushes([...others(next.name), next]);
  };
  const shown = runs.length - dimmed.size;
  return (
    <div class="parallel">
      <div class="hidden-text" role="status">
        {brushes.length > 0 && `${shown} of ${runs.length} runs pass`}
      </div>
      <div ref={frame} class="surface" style={{ height: `${HEIGHT}px` }}>
        <div
          role="img"
          aria-label={`Parallel coordinates of ${runs.length} runs over ${axes.map((axis) => axis.title).join(", ")}. The table above has the same values.`}
        >
          <canvas
            ref={canvas}
            onPointerDown={(event) => {
              const place = placeOf(event);
              if (event.button || !place.isOn) return;
              drag.current = { axis: place.axis, part: place.part };
              canvas.current?.setPointerCapture(event.pointerId);
              event.preventDefault();
            }}
            onPointerMove={(event) => {
              const place = placeOf(event);
              if (drag.current) {
                setDraft(brushFrom(drag.current.axis, drag.current.part, place.part));
                return;
              }
              let best: string | undefined;
              let far = NEAR;
              for (const { run, y } of lines) {
                const distance = Math.abs(between(axes.length, placeX, y, place.x) - place.y);
                if (distance < far) [best, far] = [run.id, distance];
              }
              litRun.value = best;
            }}
            onPointerLeave={() => {
              if (!drag.current) litRun.value = undefined;
            }}
            onPointerUp={(event) => {
              const start = drag.current;
              drag.current = undefined;
              setDraft(undefined);
              if (!start) return;
              const name = axes[start.axis]?.name;
              const brush = brushFrom(start.axis, start.part, placeOf(event).part);
              const isDrag = brush && Math.abs(start.part - placeOf(event).part) > 0.015;
              keepBrushes(isDrag ? [...others(name), brush] : others(name));
            }}
          />
        </div>
      </div>
      <ol class="axis-names">
        {axes.map((axis, at) => (
          <li key={axis.name} style={{ left: `${placeX(at)}px` }}>
            <AxisName
              axis={axis}
              at={at}
              names={axes.map((each) => each.name)}
              onNarrow={(up) => narrow(at, up)}
              onWiden={() => keepBrushes(others(axis.name))}
            />
          </li>
        ))}
      </ol>
      <AxisChoice axes={axes} all={all} />
      {brushes.length > 0 && (
        <button type="button" onClick={() => keepBrushes([])}>
          Show all runs
        </button>
      )}
    </div>
  );
}

function between(count: number, placeX: (at: number) => number, y: Float64Array, x: number): number {
  for (let at = 0; at + 1 < count; at++) {
    const from = placeX(at);
    const to = placeX(at + 1);
    if (x >= from && x <= to) {
      const part = (x - from) / (to - from || 1);
      return (y[at] as number) * (1 - part) + (y[at + 1] as number) * part;
    }
  }
  return Number.NaN;
}

/** An axis is moved past its neighbour by a drag or an arrow key, narrowed by the other two, and taken out by Delete. */
function AxisName(props: {
  axis: Field;
  at: number;
  names: readonly string[];
  onNarrow: (isUp: boolean) => void;
  onWiden: () => void;
}) {
  const { axis, at, names } = props;
  const start = useRef<number | undefined>(undefined);
  const move = (by: number) => {
    const to = Math.max(0, Math.min(names.length - 1, at + by));
    if (to === at) return;
    const next = names.filter((name) => name !== axis.name);
    next.splice(to, 0, axis.name);
    keepAxes(next);
  };
  return (
    <button
      type="button"
      class="plain"
      title={`${axis.name}: drag it, or press left and right, to move it; up and down leave out its lower or upper end, Escape shows all; Delete takes it out`}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") move(-1);
        else if (event.key === "ArrowRight") move(1);
        else if (event.key === "ArrowUp" || event.key === "ArrowDown")
          props.onNarrow(event.key === "ArrowUp");
        else if (event.key === "Escape") props.onWiden();
        else if (event.key === "Delete") keepAxes(names.filter((name) => name !== axis.name));
        else return;
        event.preventDefault();
      }}
      onPointerDown={(event) => {
        start.current = event.clientX;
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerUp={(event) => {
        const from = start.current;
        start.current = undefined;
        const list = event.currentTarget.closest("ol");
        if (from === undefined || !list) return;
        const room = (list.clientWidth - 2 * SIDE) / Math.max(1, names.length - 1);
        move(Math.round((event.clientX - from) / room));
      }}
    >
      {axis.title}
    </button>
  );
}

function AxisChoice({ axes, all }: { axes: readonly Field[]; all: readonly Field[] }) {
  const names = axes.map((axis) => axis.name);
  return (
    <details class="menu axis-choice">
      <summary>
        {axes.length} of {all.length} axes
      </summary>
      <ul class="choices">
        {all.slice(0, 200).map((field) => (
          <li key={field.name}>
            <label>
              <input
                type="checkbox"
                checked={names.includes(field.name)}
                onChange={() =>
                  keepAxes(
                    names.includes(field.name)
                      ? names.filter((name) => name !== field.name)
                      : [...names, field.name],
                  )
                }
              />
              {field.name}
            </label>
          </li>
        ))}
      </ul>
    </details>
  );
}
