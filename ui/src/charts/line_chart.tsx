/**
 * Lines of metrics. One canvas has the lines and is drawn when they change; another one above it has what follows the
 * pointer, so that a move costs the few pixels that it changes.
 */

import { effect } from "@preact/signals";
import { useEffect, useId, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { shortNumber } from "../lib/format";
import { litRun } from "../runs/lit";
import { type Frame, type Picture, paint, paintOver, type Reading, readAt } from "./draw";
import type { Link } from "./link";
import { canvasPen } from "./pen";
import { labelOf, moved, share, valueAt, zoomed } from "./scale";
import { summaryOf } from "./summary";

interface Props {
  readonly id: string;
  readonly name: string;
  readonly picture: Picture;
  readonly link: Link;
  readonly isZoomed: boolean;
  readonly onZoom: (zoom: readonly [number, number] | undefined) => void;
  readonly onZoomY: (zoom: readonly [number, number] | undefined) => void;
  readonly onTable: () => void;
}

const NEAR = 40;
const DRAG = 5;
/** What is read further away than this is said to be elsewhere. */
const SAME_PLACE = 4;
const SAID_AFTER_MS = 250;
const LISTED = 14;

export function LineChart(props: Props) {
  const { picture, link, id } = props;
  const frameElement = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const said = useRef<HTMLDivElement>(null);
  const frame = useRef<Frame | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const drag = useRef<{ x: number; y: number; isMoved: boolean } | undefined>(undefined);
  const chosen = useRef(-1);
  const redraw = useRef(() => {});
  const describes = useId();
  const summary = useMemo(() => summaryOf(picture), [picture]);

  useLayoutEffect(() => {
    const context = sized(base.current, picture);
    if (!context) return;
    const isFirst = frame.current === undefined;
    frame.current = paint(canvasPen(context), picture);
    if (isFirst) performance.mark("chart drawn");
    sized(over.current, picture); // it is what feels the pointer, before anything is drawn on it
    redraw.current();
  }, [picture]);

  useEffect(() => {
    let pending = 0;
    let isClear = true;
    redraw.current = () => {
      if (!pending) pending = requestAnimationFrame(drawOver);
    };
    const drawOver = () => {
      pending = 0;
      const now = latest.current.picture;
      const canvas = over.current;
      if (!canvas || !frame.current) return;
      const cursor = link.cursor.peek();
      const lit = litRun.peek();
      const isLit = lit !== undefined && now.lines.some((line) => line.series.run === lit);
      if (cursor === undefined && !isLit && isClear) return;
      const context = sized(canvas, now);
      if (!context) return;
      const readings = cursor ? readAt(now, frame.current.box, cursor.x) : [];
      paintOver(canvasPen(context), now, frame.current.box, cursor?.x, readings, lit);
      isClear = cursor === undefined && !isLit;
      showTip(tip.current, now, frame.current, cursor?.chart === id ? cursor.x : undefined, readings, lit);
    };
    const stop = effect(() => {
      void link.cursor.value;
      void litRun.value;
      redraw.current();
    });
    return () => {
      stop();
      cancelAnimationFrame(pending);
    };
  }, [link, id]);

  /** Where the pointer is on the plot, from 0 to 1, and in pixels from its corner. */
  const placeOf = (event: PointerEvent | MouseEvent) => {
    const rect = over.current?.getBoundingClientRect();
    const box = frame.current?.box;
    if (!rect || !box) return undefined;
    const x = event.clientX - rect.left;
    const y = event.clientY - rect.top;
    return { x, y, part: (x - box.left) / box.width, box };
  };

  const onPointerMove = (event: PointerEvent) => {
    const place = placeOf(event);
    if (!place) return;
    if (drag.current) {
      const { x, y } = drag.current;
      if (Math.hypot(place.x - x, place.y - y) > DRAG) drag.current.isMoved = true;
      if (drag.current.isMoved)
        drawSelection(over.current, latest.current.picture, place.box, x, y, place.x, place.y);
      return;
    }
    if (place.part < -0.02 || place.part > 1.02) {
      onPointerLeave();
      return;
    }
    const x = valueAt(picture.x, Math.min(1, Math.max(0, place.part)));
    link.cursor.value = { x, chart: id };
    if (picture.lines.length > 1) {
      const readings = readAt(picture, place.box, x);
      const near = readings
        .map((reading) => ({ reading, far: Math.abs(reading.top - place.y) }))
        .sort((one, other) => one.far - other.far)[0];
      litRun.value = near && near.far < NEAR ? near.reading.line.series.run : undefined;
    }
  };
  const onPointerLeave = () => {
    if (drag.current) return;
    if (link.cursor.peek()?.chart === id) link.cursor.value = undefined;
    if (picture.lines.length > 1) litRun.value = undefined;
  };
  const onPointerDown = (event: PointerEvent) => {
    const place = placeOf(event);
    if (event.button || event.pointerType === "touch" || !place) return;
    drag.current = { x: place.x, y: place.y, isMoved: false };
    over.current?.setPointerCapture(event.pointerId);
  };
  const onPointerUp = (event: PointerEvent) => {
    const start = drag.current;
    drag.current = undefined;
    const place = placeOf(event);
    if (!start?.isMoved || !place) return;
    redraw.current();
    const { box } = place;
    const part = (x: number) => Math.min(1, Math.max(0, (x - box.left) / box.width));
    const partY = (y: number) => Math.min(1, Math.max(0, 1 - (y - box.top) / box.height));
    if (Math.abs(place.x - start.x) >= Math.abs(place.y - start.y)) {
      const ends = [part(start.x), part(place.x)].sort((one, other) => one - other) as [number, number];
      props.onZoom([valueAt(picture.x, ends[0]), valueAt(picture.x, ends[1])]);
    } else {
      const ends = [partY(start.y), partY(place.y)].sort((one, other) => one - other) as [number, number];
      props.onZoomY([valueAt(picture.y, ends[0]), valueAt(picture.y, ends[1])]);
    }
  };
  const zoomOut = () => {
    props.onZoom(undefined);
    props.onZoomY(undefined);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { x } = picture;
    const here = link.cursor.peek()?.x;
    const part = here === undefined ? 0.5 : Math.min(1, Math.max(0, share(x, here)));
    const isRight = event.key === "ArrowRight";
    if (isRight || event.key === "ArrowLeft") {
      const by = isRight ? 1 : -1;
      if (event.shiftKey) props.onZoom(moved(x, by * 0.2));
      else {
        const width = frame.current?.box.width ?? 400;
        const next = here === undefined ? (isRight ? 0 : 1) : part + (by * 4) / width;
        link.cursor.value = { x: valueAt(x, Math.min(1, Math.max(0, next))), chart: id };
        say();
      }
    } else if (event.key === "Home" || event.key === "End") {
      link.cursor.value = { x: event.key === "Home" ? x.min : x.max, chart: id };
      say();
    } else if (event.key === "+" || event.key === "=") props.onZoom(zoomed(x, 0.5, part));
    else if (event.key === "-") {
      if (props.isZoomed) props.onZoom(zoomed(x, 2, part));
    } else if (event.key === "0" || event.key === "Escape") {
      if (!props.isZoomed && event.key === "Escape") {
        link.cursor.value = undefined;
        litRun.value = undefined;
      } else zoomOut();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const count = picture.lines.length;
      if (count < 2) return;
      chosen.current = (chosen.current + (event.key === "ArrowDown" ? 1 : -1) + count) % count;
      litRun.value = picture.lines[chosen.current]?.series.run;
      say();
    } else if (event.key === "v") props.onTable();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const saying = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  /** Read out what is at the cursor, once it rests. */
  const say = () => {
    clearTimeout(saying.current);
    saying.current = setTimeout(() => {
      const cursor = link.cursor.peek();
      if (!said.current || !frame.current) return;
      const now = latest.current.picture;
      const lit = litRun.peek();
      const readings = cursor ? readAt(now, frame.current.box, cursor.x) : [];
      const shown = readings.filter((reading) => lit === undefined || reading.line.series.run === lit);
      const words = shown.slice(0, 5).map((reading) => `${reading.line.label} ${readingText(reading)}`);
      if (shown.length > 5) words.push(`and ${shown.length - 5} more`);
      const at = cursor ? `${now.xTitle || "x"} ${labelOf(cursor.x, now.xUnit)}: ` : "";
      said.current.textContent = at + (words.join(", ") || (lit ? nameOf(now, lit) : "no value"));
    }, SAID_AFTER_MS);
  };

  return (
    <div
      ref={frameElement}
      class="plot"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the chart is moved in by keys
      tabIndex={0}
      role="group"
      aria-roledescription="chart"
      aria-describedby={describes}
      aria-label={`${props.name}. Arrow keys move the cursor, plus and minus zoom, v shows the values as a table.`}
      style={{ height: `${picture.height}px` }}
      onKeyDown={onKeyDown}
      onBlur={() => {
        if (link.cursor.peek()?.chart === id) link.cursor.value = undefined;
      }}
    >
      <div aria-hidden="true">
        <canvas ref={base} />
        <canvas
          ref={over}
          onPointerMove={onPointerMove}
          onPointerLeave={onPointerLeave}
          onPointerDown={onPointerDown}
          onPointerUp={onPointerUp}
          onDblClick={zoomOut}
        />
      </div>
      <div ref={tip} class="tip" aria-hidden="true" hidden />
      <div id={describes} class="hidden-text">
        {summary}
      </div>
      <div ref={said} class="hidden-text" aria-live="polite" />
    </div>
  );
}

const nameOf = (picture: Picture, run: string) =>
  picture.lines.find((line) => line.series.run === run)?.label ?? "";

export function readingText(reading: Reading): string {
  if (!Number.isFinite(reading.mid)) return shortNumber(reading.mid);
  if (reading.smooth !== undefined) return `${shortNumber(reading.smooth)} (${shortNumber(reading.mid)})`;
  if (reading.low === reading.high) return shortNumber(reading.mid);
  return `${shortNumber(reading.mid)} (${shortNumber(reading.low)} to ${shortNumber(reading.high)})`;
}

/** A canvas of the picture's size in the screen's pixels, empty. */
export function sized(
  canvas: HTMLCanvasElement | null,
  picture: { width: number; height: number },
): CanvasRenderingContext2D | undefined {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return undefined;
  const ratio = devicePixelRatio || 1;
  const width = Math.round(picture.width * ratio);
  const height = Math.round(picture.height * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${picture.width}px`;
    canvas.style.height = `${picture.height}px`;
  } else {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function drawSelection(
  canvas: HTMLCanvasElement | null,
  picture: Picture,
  box: { left: number; top: number; width: number; height: number },
  x: number,
  y: number,
  toX: number,
  toY: number,
): void {
  const context = sized(canvas, picture);
  if (!context) return;
  const isWide = Math.abs(toX - x) >= Math.abs(toY - y);
  const area = isWide
    ? { left: Math.min(x, toX), top: box.top, width: Math.abs(toX - x), height: box.height }
    : { left: box.left, top: Math.min(y, toY), width: box.width, height: Math.abs(toY - y) };
  canvasPen(context).box(area, picture.inks.accent, 0.22);
}

/** The values at the cursor, the nearest to it first in bold; drawn without Preact, as it follows every move. */
function showTip(
  tip: HTMLDivElement | null,
  picture: Picture,
  frame: Frame,
  x: number | undefined,
  readings: readonly Reading[],
  lit: string | undefined,
): void {
  if (!tip) return;
  tip.hidden = x === undefined || readings.length === 0;
  if (tip.hidden || x === undefined) return;
  const sorted = [...readings].sort((one, other) => one.top - other.top);
  const at = Math.max(
    0,
    sorted.findIndex((reading) => reading.line.series.run === lit),
  );
  const first = Math.max(0, Math.min(at - Math.floor(LISTED / 2), sorted.length - LISTED));
  const here = sorted[at];
  const rows: Node[] = [made("strong", labelOf(here?.x ?? x, picture.xUnit))];
  for (const reading of sorted.slice(first, first + LISTED)) {
    const row = made("div", "");
    if (reading.line.series.run === lit) row.className = "lit";
    const swatch = made("i", "");
    swatch.style.background = reading.line.mark.colour;
    row.append(swatch, made("span", reading.line.label), made("b", readingText(reading)));
    if (here && Math.abs(reading.left - here.left) > SAME_PLACE)
      row.append(made("small", `at ${labelOf(reading.x, picture.xUnit)}`));
    rows.push(row);
  }
  if (sorted.length > LISTED) rows.push(made("small", `${sorted.length - LISTED} more`));
  tip.replaceChildren(...rows);
  const left = frame.box.left + share(picture.x, x) * frame.box.width;
  const isRight = left < picture.width / 2;
  tip.style.left = isRight ? `${left + 14}px` : "auto";
  tip.style.right = isRight ? "auto" : `${picture.width - left + 14}px`;
}

function made(name: string, text: string): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}
