/** A line chart, drawn by any pen. */

import type { Mark } from "./marks";
import type { Box, Pen } from "./pen";
import { bend, PART, type Scale, type Tick, ticks, type Unit } from "./scale";
import { lastUpTo, nearest, type Series } from "./series";

export interface Line {
  readonly series: Series;
  readonly mark: Mark;
  readonly label: string;
  /** The mean of a group: `low` and `high` are then drawn as a band. */
  readonly isGroup?: boolean;
  /** A run of a group that is drawn too: thin, behind the middles. */
  readonly isMember?: boolean;
}

export interface Inks {
  readonly back: string;
  readonly text: string;
  readonly quiet: string;
  readonly line: string;
  readonly accent: string;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly lines: readonly Line[];
  readonly x: Scale;
  readonly y: Scale;
  readonly xUnit: Unit;
  readonly xTitle: string;
  readonly title?: string;
  readonly inks: Inks;
  readonly isSmoothed: boolean;
}

const LETTER = 6.3;
/** Points further apart than this are shown one by one. */
const APART = 14;
const FAR = 20_000;
const ARROW_EVERY = 9;

export interface Frame {
  readonly box: Box;
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
}

export function frameOf(picture: Picture): Frame {
  const top = picture.title ? 26 : 8;
  const height = Math.max(10, picture.height - top - 22 - (picture.xTitle ? 14 : 0));
  const yTicks = ticks(picture.y, Math.max(2, Math.floor(height / 34)));
  const widest = Math.max(1, ...yTicks.map((tick) => tick.label.length));
  const left = Math.min(picture.width / 3, 10 + widest * LETTER);
  const width = Math.max(10, picture.width - left - 12);
  const room = picture.xUnit === "number" || picture.xUnit === "step" ? 70 : 84;
  const xTicks = ticks(picture.x, Math.max(2, Math.floor(width / room)), picture.xUnit);
  return { box: { left, top, width, height }, xTicks, yTicks };
}

/** Places in pixels; what the scale cannot have is NaN. */
function placer(scale: Scale, start: number, size: number): (value: number) => number {
  const from = bend(scale.min, scale.kind, scale.straight);
  const extent = bend(scale.max, scale.kind, scale.straight) - from;
  const { kind, straight } = scale;
  if (kind === "linear")
    return (value) => {
      if (!Number.isFinite(value)) return Number.NaN;
      const at = start + ((value * PART - from) / extent) * size; // its inverse, of the smallest numbers, is none
      return Math.max(-FAR, Math.min(FAR, at));
    };
  return (value) => {
    if (!Number.isFinite(value) || (kind === "log" && value <= 0)) return Number.NaN;
    const at = start + ((bend(value, kind, straight) - from) / extent) * size;
    return Math.max(-FAR, Math.min(FAR, at));
  };
}

export const xPlacer = (picture: Picture, box: Box) => placer(picture.x, box.left, box.width);
export const yPlacer = (picture: Picture, box: Box) => placer(picture.y, box.top + box.height, -box.height);

export function paint(pen: Pen, picture: Picture): Frame {
  const frame = frameOf(picture);
  const { box } = frame;
  pen.box({ left: 0, top: 0, width: picture.width, height: picture.height }, picture.inks.back);
  if (picture.title)
    pen.text(picture.title, 8, 13, { colour: picture.inks.text, align: "left", size: 13, bold: true });
  paintAxes(pen, picture, frame);
  pen.within({ ...box, top: box.top - 1, height: box.height + 2 }, () => {
    for (const line of picture.lines) paintLine(pen, picture, box, line, 1);
  });
  for (const line of picture.lines) paintEdges(pen, picture, box, line);
  return frame;
}

function paintAxes(pen: Pen, picture: Picture, { box, xTicks, yTicks }: Frame): void {
  const { inks } = picture;
  const toX = xPlacer(picture, box);
  const toY = yPlacer(picture, box);
  const bottom = box.top + box.height;
  const right = box.left + box.width;
  for (const tick of yTicks) {
    const y = Math.round(toY(tick.value)) + 0.5;
    pen.line([box.left, right], [y, y], { colour: inks.line, width: 1 });
    pen.text(tick.label, box.left - 5, y, { colour: inks.quiet, align: "right" });
  }
  let free = 0;
  for (const tick of xTicks) {
    const x = Math.round(toX(tick.value)) + 0.5;
    pen.line([x, x], [bottom, bottom + 4], { colour: inks.line, width: 1 });
    const half = (tick.label.length * LETTER) / 2;
    if (x - half < free || x + half > picture.width) continue;
    pen.text(tick.label, x, bottom + 12, { colour: inks.quiet, align: "center" });
    free = x + half + 6;
  }
  pen.line([box.left, right], [bottom + 0.5, bottom + 0.5], { colour: inks.quiet, width: 1 });
  if (picture.xTitle) pen.text(picture.xTitle, right, bottom + 27, { colour: inks.quiet, align: "right" });
}

interface Places {
  readonly first: number;
  readonly end: number;
  readonly x: Float64Array;
}

/** What of a series is in sight, with a point to either side. */
const rangeOf = (picture: Picture, series: Series) => ({
  first: Math.max(0, lastUpTo(series.x, picture.x.min)),
  end: Math.min(series.x.length, lastUpTo(series.x, picture.x.max) + 2),
});

function placesOf(picture: Picture, box: Box, series: Series): Places {
  const { first, end } = rangeOf(picture, series);
  const toX = xPlacer(picture, box);
  const x = new Float64Array(Math.max(0, end - first));
  for (let at = first; at < end; at++) x[at - first] = toX(series.x[at] as number);
  return { first, end, x };
}

function heights(
  values: Float64Array,
  { first, end }: Places,
  toY: (value: number) => number,
  lowest?: number,
): Float64Array {
  const found = new Float64Array(Math.max(0, end - first));
  for (let at = first; at < end; at++) {
    const y = toY(values[at] as number);
    found[at - first] = lowest !== undefined && Number.isNaN(y) ? lowest : y;
  }
  return found;
}

export function paintLine(pen: Pen, picture: Picture, box: Box, line: Line, boldness: number): void {
  const { series, mark } = line;
  const places = placesOf(picture, box, series);
  if (places.x.length === 0) return;
  const toY = yPlacer(picture, box);
  const mid = heights(series.mid, places, toY);
  const smooth = picture.isSmoothed && series.smooth ? heights(series.smooth, places, toY) : undefined;
  const dash = mark.dash;
  const isFaint = line.isMember && boldness < 2;
  if (series.low !== series.high) {
    const bottom = picture.y.kind === "log" ? box.top + box.height : undefined;
    // where even the highest cannot be drawn there is nothing; where only the lowest cannot, it is below the edge
    const high = heights(series.high, places, toY);
    const low = heights(series.low, places, toY, bottom);
    for (let at = 0; at < high.length; at++) if (Number.isNaN(high[at])) low[at] = Number.NaN;
    if (line.isGroup) pen.band(places.x, low, high, mark.colour, bandAlpha(picture, boldness));
    else {
      const width = columnWidth(places.x);
      const alpha = isFaint ? 0.12 : smooth ? 0.22 : 0.4;
      pen.columns(places.x, low, high, width, { colour: mark.colour, width: 1, alpha });
    }
  }
  if (isFaint) {
    pen.line(places.x, smooth ?? mid, { colour: mark.colour, width: 1, alpha: 0.5 });
    return;
  }
  if (smooth) {
    if (series.isRaw || line.isGroup) pen.line(places.x, mid, { colour: mark.colour, width: 1, alpha: 0.3 });
    pen.line(places.x, smooth, { colour: mark.colour, width: 1.5 + boldness * 0.5, dash });
  } else pen.line(places.x, mid, { colour: mark.colour, width: 0.5 + boldness, dash });
  paintPoints(pen, places, mid, smooth ?? mid, line, !!smooth);
}

/** The more bands lie over each other the fainter each is, so that what is below still shows. */
function bandAlpha(picture: Picture, boldness: number): number {
  if (boldness > 1) return 0.25;
  const bands = picture.lines.reduce((sum, line) => sum + (line.isGroup ? 1 : 0), 0);
  return Math.max(0.05, Math.min(0.2, 0.5 / bands));
}

/** Columns touch each other where they are dense, and stay narrow where they are not. */
function columnWidth(x: Float64Array): number {
  if (x.length < 2) return 2;
  const apart = ((x.at(-1) as number) - (x[0] as number)) / (x.length - 1);
  return apart < 3 ? Math.max(1, apart) : 2;
}

/** Points that stand apart, and the marker at the end by which a line is known without its colour. */
function paintPoints(
  pen: Pen,
  places: Places,
  y: Float64Array,
  ends: Float64Array,
  line: Line,
  isGhost: boolean,
): void {
  const { x } = places;
  const size = x.length;
  const alpha = isGhost ? 0.4 : 1;
  if (line.series.isRaw) {
    const isSparse = size > 1 && ((x[size - 1] as number) - (x[0] as number)) / (size - 1) > APART;
    for (let at = 0; at < size; at++) {
      if (Number.isNaN(y[at])) continue;
      const isAlone = (at === 0 || Number.isNaN(y[at - 1])) && (at === size - 1 || Number.isNaN(y[at + 1]));
      if (isSparse || isAlone)
        pen.marker(line.mark.marker, x[at] as number, y[at] as number, 2.5, line.mark.colour, alpha);
    }
  }
  for (let at = size - 1; at >= 0; at--)
    if (!Number.isNaN(ends[at])) {
      pen.marker(line.mark.marker, x[at] as number, ends[at] as number, 3, line.mark.colour);
      break;
    }
}

/** Arrows where a line goes beyond the chart, and what is no number at the edge where it was logged. */
function paintEdges(pen: Pen, picture: Picture, box: Box, line: Line): void {
  const { series, mark } = line;
  const { first, end } = rangeOf(picture, series);
  const toX = xPlacer(picture, box);
  const bottom = box.top + box.height;
  const right = box.left + box.width;
  const spent = { up: Number.NEGATIVE_INFINITY, down: Number.NEGATIVE_INFINITY };
  const arrow = (kind: "up" | "down", x: number) => {
    if (x < box.left || x > right || x - spent[kind] < ARROW_EVERY) return;
    spent[kind] = x;
    pen.marker(kind, x, kind === "up" ? box.top + 3 : bottom - 4, 3.5, mark.colour);
  };
  for (let at = first; at < end; at++) {
    const high = series.high[at] as number;
    const low = series.low[at] as number;
    if (high > picture.y.max && high < Number.POSITIVE_INFINITY) arrow("up", toX(series.x[at] as number));
    if (low < picture.y.min && low > Number.NEGATIVE_INFINITY) arrow("down", toX(series.x[at] as number));
  }
  let last = Number.NEGATIVE_INFINITY;
  for (const odd of series.odd) {
    const x = toX(odd.x);
    if (!(x >= box.left - 1 && x <= right + 1) || x - last < 6) continue;
    last = x;
    if (odd.kind === "NaN") {
      pen.line([x, x], [bottom - 7, bottom], { colour: mark.colour, width: 1.5 });
      pen.marker("cross", x, bottom - 10, 3, mark.colour);
    } else if (odd.kind === "Infinity")
      pen.text("∞", x, box.top + 6, { colour: mark.colour, align: "center", size: 13 });
    else pen.text("−∞", x, bottom - 7, { colour: mark.colour, align: "center", size: 13 });
  }
}

/** What a line has at a place: the values there and where they are drawn. */
export interface Reading {
  readonly line: Line;
  readonly x: number;
  readonly mid: number;
  readonly low: number;
  readonly high: number;
  readonly smooth: number | undefined;
  readonly left: number;
  readonly top: number;
}

export function readAt(picture: Picture, box: Box, x: number): Reading[] {
  const toX = xPlacer(picture, box);
  const toY = yPlacer(picture, box);
  const found: Reading[] = [];
  for (const line of picture.lines) {
    const { series } = line;
    const at = nearest(series.x, x);
    if (at < 0) continue;
    const there = series.x[at] as number;
    // beyond the end of a line there is nothing to read
    if ((x > (series.x.at(-1) as number) || x < (series.x[0] as number)) && Math.abs(toX(there) - toX(x)) > 8)
      continue;
    const smooth = picture.isSmoothed ? series.smooth?.[at] : undefined;
    const mid = series.mid[at] as number;
    found.push({
      line,
      x: there,
      mid,
      low: series.low[at] as number,
      high: series.high[at] as number,
      smooth,
      left: toX(there),
      top: toY(smooth ?? mid),
    });
  }
  return found;
}

/** What lies over the chart while it is pointed at: the hair line, the points read, the lit line before the others. */
export function paintOver(
  pen: Pen,
  picture: Picture,
  box: Box,
  at: number | undefined,
  readings: readonly Reading[],
  lit: string | undefined,
): void {
  const isLit =
    lit !== undefined && picture.lines.length > 1 && picture.lines.some((line) => line.series.run === lit);
  if (isLit) {
    pen.box(box, picture.inks.back, 0.62);
    pen.within(box, () => {
      for (const line of picture.lines) if (line.series.run === lit) paintLine(pen, picture, box, line, 2);
    });
  }
  if (at === undefined) return;
  const x = xPlacer(picture, box)(at);
  if (x < box.left || x > box.left + box.width) return;
  pen.line([x, x], [box.top, box.top + box.height], { colour: picture.inks.quiet, width: 1, dash: [3, 3] });
  for (const reading of readings) {
    if (isLit && reading.line.series.run !== lit) continue;
    if (reading.top >= box.top - 2 && reading.top <= box.top + box.height + 2)
      pen.marker(reading.line.mark.marker, reading.left, reading.top, 3.5, reading.line.mark.colour);
  }
}
