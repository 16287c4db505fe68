/** Small charts, drawn by any pen: scatter, contour, bars, histogram, importance. Each tells where its runs are. */

import { many, shortNumber } from "../../lib/format";
import type { Inks } from "../draw";
import type { Marker } from "../marks";
import type { Box, Pen } from "../pen";
import { type Scale, scaleOver, share, type Tick, ticks, valueAt } from "../scale";
import { colourAt } from "./colours";
import type { Importance } from "./correlation";
import { type Field, kindFor, rangeOf } from "./values";

export interface Dot {
  readonly run: string;
  readonly name: string;
  readonly colour: string;
  readonly marker: Marker;
}

/** A place that answers to the pointer. */
export interface Hit {
  readonly run: string;
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

export interface Canvas {
  readonly pen: Pen;
  readonly width: number;
  readonly height: number;
  readonly inks: Inks;
  readonly lit: string | undefined;
}

const LETTER = 6.3;

export function scaleFor(field: Field, pad = 0.05): Scale {
  const [low, high] = rangeOf(field.numbers);
  return scaleOver(low, high, kindFor(field), 1, pad && field.names.length && low < high ? 0.1 : pad);
}

export function ticksFor(field: Field, scale: Scale, most: number): Tick[] {
  if (!field.names.length) return ticks(scale, most);
  const every = Math.max(1, Math.ceil(field.names.length / most));
  return field.names
    .map((label, value) => ({ value, label: label.length > 16 ? `${label.slice(0, 15)}…` : label }))
    .filter((_, at) => at % every === 0);
}

function axes({ pen, width, height, inks }: Canvas, x: Field, y: Field, padX?: number) {
  const yScale = scaleFor(y);
  const yTicks = ticksFor(y, yScale, Math.max(2, Math.floor(height / 40)));
  const left = 12 + LETTER * Math.max(1, ...yTicks.map((tick) => tick.label.length));
  const box: Box = { left, top: 20, width: width - left - 14, height: height - 20 - 36 };
  const xScale = scaleFor(x, padX);
  const toX = (value: number) => box.left + share(xScale, value) * box.width;
  const toY = (value: number) => box.top + (1 - share(yScale, value)) * box.height;
  pen.box({ left: 0, top: 0, width, height }, inks.back);
  pen.text(y.title, 6, 9, { colour: inks.quiet, align: "left" });
  for (const tick of yTicks) {
    const at = Math.round(toY(tick.value)) + 0.5;
    pen.line([box.left, box.left + box.width], [at, at], { colour: inks.line, width: 1 });
    pen.text(tick.label, box.left - 5, at, { colour: inks.quiet, align: "right" });
  }
  const bottom = box.top + box.height;
  let free = 0;
  for (const tick of ticksFor(x, xScale, Math.max(2, Math.floor(box.width / 70)))) {
    const at = Math.round(toX(tick.value)) + 0.5;
    const half = (tick.label.length * LETTER) / 2;
    pen.line([at, at], [bottom, bottom + 4], { colour: inks.line, width: 1 });
    if (at - half < free || at + half > width) continue;
    free = at + half + 6;
    pen.text(tick.label, at, bottom + 12, { colour: inks.quiet, align: "center" });
  }
  pen.line([box.left, box.left + box.width], [bottom + 0.5, bottom + 0.5], { colour: inks.quiet, width: 1 });
  pen.text(x.title, box.left + box.width, bottom + 28, { colour: inks.quiet, align: "right" });
  return { box, toX, toY };
}

function textOf(field: Field, at: number): string {
  return `${field.title} ${field.names.length ? (field.texts[at] ?? "") : shortNumber(field.numbers[at] as number)}`;
}

export function paintScatter(
  canvas: Canvas,
  x: Field,
  y: Field,
  colour: Field | undefined,
  dots: readonly Dot[],
): Hit[] {
  const { pen, inks, lit } = canvas;
  const { box, toX, toY } = axes(canvas, x, y);
  const scale = colour && scaleFor(colour, 0);
  const hits: Hit[] = [];
  dots.forEach((dot, at) => {
    const left = toX(x.numbers[at] as number);
    const top = toY(y.numbers[at] as number);
    if (!Number.isFinite(left + top)) return;
    const ink = colour && scale ? colourAt(share(scale, colour.numbers[at] as number)) : dot.colour;
    pen.marker(
      colour ? "circle" : dot.marker,
      left,
      top,
      dot.run === lit ? 7 : 4.5,
      ink,
      lit && dot.run !== lit ? 0.45 : 0.95,
    );
    if (dot.run === lit) pen.marker("circle", left, top, 2, inks.back);
    const more = colour ? `, ${textOf(colour, at)}` : "";
    hits.push({
      run: dot.run,
      x: left,
      y: top,
      text: `${dot.name}: ${textOf(x, at)}, ${textOf(y, at)}${more}`,
    });
  });
  if (colour && scale) paintKey(canvas, box, colour, scale);
  return hits;
}

/** What the colours mean, at the top on the right. */
function paintKey({ pen, inks }: Canvas, box: Box, field: Field, scale: Scale): void {
  const width = 90;
  const left = box.left + box.width - width - 50;
  for (let at = 0; at < width; at += 3)
    pen.box({ left: left + at, top: 4, width: 3.5, height: 8 }, colourAt(at / width));
  const [low, high] = [scale.min, scale.max];
  const name = (value: number) =>
    field.names.length ? (field.names[Math.round(value)] ?? "") : shortNumber(value);
  pen.text(`${field.title} ${name(low)}`, left - 4, 9, { colour: inks.quiet, align: "right" });
  pen.text(name(high), left + width + 5, 9, { colour: inks.quiet, align: "left" });
}

const CELLS = 36;
const LEVELS = 8;

/** Between runs the colour is guessed from those nearby, weighted by distance: it is a picture, not a measurement. */
export function paintContour(canvas: Canvas, x: Field, y: Field, z: Field, dots: readonly Dot[]): Hit[] {
  const { pen, inks } = canvas;
  const { box, toX, toY } = axes(canvas, x, y);
  const scale = scaleFor(z, 0);
  const known = dots
    .map((dot, at) => ({
      dot,
      at,
      x: toX(x.numbers[at] as number),
      y: toY(y.numbers[at] as number),
      z: share(scale, z.numbers[at] as number),
    }))
    .filter((each) => Number.isFinite(each.x + each.y + each.z));
  const wide = box.width / CELLS;
  const tall = box.height / CELLS;
  if (known.length >= 3)
    for (let row = 0; row < CELLS; row++)
      for (let column = 0; column < CELLS; column++) {
        const left = box.left + column * wide;
        const top = box.top + row * tall;
        let sum = 0;
        let weights = 0;
        for (const each of known) {
          const far =
            ((each.x - left - wide / 2) / box.width) ** 2 + ((each.y - top - tall / 2) / box.height) ** 2;
          const weight = 1 / (far ** 1.5 + 1e-6);
          sum += weight * each.z;
          weights += weight;
        }
        const level = Math.min(LEVELS - 1, Math.floor((sum / weights) * LEVELS)) / (LEVELS - 1);
        pen.box({ left, top, width: wide + 0.5, height: tall + 0.5 }, colourAt(level), 0.85);
      }
  for (const each of known) {
    pen.marker("circle", each.x, each.y, each.dot.run === canvas.lit ? 7 : 5, inks.back);
    pen.marker("circle", each.x, each.y, each.dot.run === canvas.lit ? 5 : 3.5, colourAt(each.z));
  }
  paintKey(canvas, box, z, scale);
  return known.map(({ dot, at, x: left, y: top }) => ({
    run: dot.run,
    x: left,
    y: top,
    text: `${dot.name}: ${textOf(x, at)}, ${textOf(y, at)}, ${textOf(z, at)}`,
  }));
}

/** One bar a run, the largest first. */
export function paintBars(
  { pen, width, height, inks, lit }: Canvas,
  field: Field,
  dots: readonly Dot[],
): Hit[] {
  pen.box({ left: 0, top: 0, width, height }, inks.back);
  const order = dots
    .map((_, at) => at)
    .filter((at) => Number.isFinite(field.numbers[at]))
    .sort((one, other) => (field.numbers[other] as number) - (field.numbers[one] as number));
  const room = Math.max(1, Math.floor((height - 8) / 16));
  const shown = order.slice(0, room);
  const longest = Math.max(4, ...shown.map((at) => Math.min(22, dots[at]?.name.length ?? 0)));
  const left = 10 + longest * LETTER;
  const [low, high] = rangeOf([0, ...shown.map((at) => field.numbers[at] as number)]);
  const size = width - left - 70;
  const place = (value: number) => left + ((value - low) / (high - low || 1)) * size;
  return shown.map((at, row) => {
    const dot = dots[at] as Dot;
    const value = field.numbers[at] as number;
    const top = 4 + row * 16;
    const ends = [place(0), place(value)].sort((one, other) => one - other) as [number, number];
    pen.box(
      { left: ends[0], top: top + 2, width: Math.max(1, ends[1] - ends[0]), height: 12 },
      dot.colour,
      lit && lit !== dot.run ? 0.4 : 0.9,
    );
    const name = dot.name.length > 22 ? `${dot.name.slice(0, 21)}…` : dot.name;
    pen.text(name, left - 6, top + 8, { colour: dot.run === lit ? inks.text : inks.quiet, align: "right" });
    pen.text(shortNumber(value), ends[1] + 5, top + 8, { colour: inks.text, align: "left" });
    return { run: dot.run, x: ends[1], y: top + 8, text: `${dot.name}: ${textOf(field, at)}` };
  });
}

export function paintHistogram(canvas: Canvas, field: Field): Hit[] {
  const { pen, inks } = canvas;
  const finite = field.numbers.filter(Number.isFinite);
  const most = field.names.length || Math.max(4, Math.min(30, Math.ceil(Math.sqrt(finite.length) * 1.5)));
  const scale = scaleFor(field, 0);
  const sizes = new Array<number>(most).fill(0);
  for (const value of finite) {
    const part = field.names.length ? value / most : share(scale, value);
    sizes[Math.min(most - 1, Math.floor(part * most))] =
      (sizes[Math.min(most - 1, Math.floor(part * most))] ?? 0) + 1;
  }
  const counts: Field = {
    ...field,
    title: "runs",
    names: [],
    numbers: [0, Math.max(1, ...sizes)],
    texts: [],
  };
  const { box, toY } = axes(
    canvas,
    field.names.length ? { ...field, numbers: [-0.5, most - 0.5] } : field,
    counts,
    0, // the bars have all of the axis
  );
  const ends = (at: number) =>
    field.names.length
      ? `: ${field.names[at]}`
      : ` from ${shortNumber(valueAt(scale, at / most))} to ${shortNumber(valueAt(scale, (at + 1) / most))}`;
  const wide = box.width / most;
  const ground = toY(0);
  return sizes.map((size, at) => {
    const top = toY(size);
    pen.box(
      {
        left: box.left + at * wide + 1,
        top,
        width: Math.max(1, wide - 2),
        height: Math.max(0, ground - top),
      },
      inks.accent,
      0.8,
    );
    return {
      run: "",
      x: box.left + (at + 0.5) * wide,
      y: top,
      text: many(size, "run", "runs") + ends(at),
    };
  });
}

export function paintImportance({ pen, width, height, inks }: Canvas, found: readonly Importance[]): Hit[] {
  pen.box({ left: 0, top: 0, width, height }, inks.back);
  const shown = found.slice(0, Math.max(1, Math.floor((height - 24) / 18)));
  const longest = Math.max(4, ...shown.map((each) => Math.min(24, each.field.title.length)));
  const left = 12 + longest * LETTER;
  const middle = left + (width - left - 50) / 2;
  const half = (width - left - 50) / 2;
  pen.line([middle, middle], [0, height - 20], { colour: inks.quiet, width: 1 });
  for (const part of [-1, 0, 1])
    pen.text(part === 0 ? "0" : part > 0 ? "1" : "−1", middle + part * half, height - 10, {
      colour: inks.quiet,
      align: "center",
    });
  return shown.map((each, row) => {
    const top = 2 + row * 18;
    const size = Math.abs(each.value) * half;
    pen.box(
      { left: each.value < 0 ? middle - size : middle, top: top + 2, width: Math.max(1, size), height: 14 },
      inks.accent,
      each.kind === "names" ? 0.55 : 0.9,
    );
    const name = each.field.title.length > 24 ? `${each.field.title.slice(0, 23)}…` : each.field.title;
    pen.text(name, left - 6, top + 9, { colour: inks.text, align: "right" });
    pen.text(each.value.toFixed(2).replace("-", "−"), middle + (each.value < 0 ? 5 : size + 5), top + 9, {
      colour: inks.text,
      align: "left",
    });
    const how = each.kind === "names" ? "eta of ranks by name" : "rank correlation";
    return {
      run: "",
      x: middle + (each.value < 0 ? -size : size),
      y: top + 9,
      text: `${each.field.title}: ${how} ${each.value.toFixed(3)}, ${each.runs} runs`,
    };
  });
}
