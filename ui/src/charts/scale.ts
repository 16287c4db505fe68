/** From values to places along an axis and back, and where the axis has its ticks. */

import { shortNumber, stepText } from "../lib/format";

export type ScaleKind = "linear" | "log" | "symlog";
/** Steps are whole numbers. */
export type Unit = "number" | "step" | "time" | "duration";

export interface Scale {
  readonly kind: ScaleKind;
  readonly min: number;
  readonly max: number;
  /** Symlog is straight between minus and plus this. */
  readonly straight: number;
}

export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** A quarter, so that from the lowest double to the highest is a double too. */
export const PART = 0.25;
/** The smallest number whose inverse is a double: a logarithmic axis does not go below it. */
const LEAST = 2 ** -1022;

/** What lies evenly along the axis. */
export function bend(value: number, kind: ScaleKind, straight = 1): number {
  if (kind === "log") return Math.log10(value);
  if (kind === "symlog") return Math.sign(value) * Math.log1p(Math.abs(value) / straight);
  return value * PART;
}

function unbend(value: number, kind: ScaleKind, straight: number): number {
  if (kind === "log") return Math.max(LEAST, within(10 ** value));
  if (kind === "symlog") return within(Math.sign(value) * Math.expm1(Math.abs(value)) * straight);
  return within(value / PART);
}

const within = (value: number) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));

/** A scale over a range; one of no extent, or that a logarithm cannot have, is mended. */
export function scaleOver(low: number, high: number, kind: ScaleKind, straight = 1, pad = 0): Scale {
  let min = within(low);
  let max = within(high);
  if (!(min <= max)) [min, max] = kind === "log" ? [1, 10] : [0, 1];
  if (kind === "log") {
    if (max <= 0) [min, max] = [1, 10];
    max = Math.max(max, 2 * LEAST);
    min = Math.max(min <= 0 ? max / 1e6 : min, LEAST);
  }
  if (min === max) {
    const room = kind === "log" ? 0 : Math.abs(min) * 0.05 || 0.5;
    min = kind === "log" ? Math.max(LEAST, min / 2) : within(min - room);
    max = within(kind === "log" ? max * 2 : max + room);
  } else if (pad) {
    const from = bend(min, kind, straight);
    const to = bend(max, kind, straight);
    const room = (to - from) * pad;
    min = unbend(from - room, kind, straight);
    max = unbend(to + room, kind, straight);
  }
  // of the smallest doubles a part is none
  if (!(bend(min, kind, straight) < bend(max, kind, straight))) {
    min -= kind === "log" ? 0 : LEAST;
    max += LEAST;
  }
  return { kind, min, max, straight };
}

/** From 0 at the scale's start to 1 at its end. */
export function share(scale: Scale, value: number): number {
  const from = bend(scale.min, scale.kind, scale.straight);
  const to = bend(scale.max, scale.kind, scale.straight);
  return (bend(value, scale.kind, scale.straight) - from) / (to - from);
}

export function valueAt(scale: Scale, part: number): number {
  const from = bend(scale.min, scale.kind, scale.straight);
  const to = bend(scale.max, scale.kind, scale.straight);
  return unbend(from + part * (to - from), scale.kind, scale.straight);
}

/** Zoom by a factor around a place, and move by a part of what is shown. */
export function zoomed(scale: Scale, factor: number, around = 0.5): [number, number] {
  return [valueAt(scale, around - around * factor), valueAt(scale, around + (1 - around) * factor)];
}

export const moved = (scale: Scale, by: number): [number, number] => [
  valueAt(scale, by),
  valueAt(scale, 1 + by),
];

const STEPS = [1, 2, 5, 10];

export function stepFor(extent: number, most: number): number {
  return roundStep(extent / Math.max(1, most));
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return (STEPS.find((step) => step * power >= rough * 0.999) ?? 10) * power;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  1,
  5,
  10,
  50,
  100,
  500,
  SECOND,
  5 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];

/** At most `most` ticks at round values. */
export function ticks(scale: Scale, most: number, unit: Unit = "number"): Tick[] {
  if ((unit === "time" || unit === "duration") && scale.kind === "linear")
    return timeTicks(scale, most, unit);
  if (scale.kind === "linear") return linearTicks(scale.min, scale.max, most, unit);
  const found = scale.kind === "log" ? logTicks(scale, most) : symlogTicks(scale, most);
  if (found.length >= 2) return found;
  return linearTicks(scale.min, scale.max, most, unit).filter(
    (tick) => scale.kind !== "log" || tick.value > 0,
  );
}

function linearTicks(min: number, max: number, most: number, unit: Unit): Tick[] {
  const step = Math.max(unit === "step" ? 1 : 0, roundStep(max / most - min / most));
  if (!(step > 0)) return []; // between the smallest doubles there is no room
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const top = Math.max(Math.abs(min), Math.abs(max));
  const found: Tick[] = [];
  for (let at = first; at <= last && found.length <= 2 * most; at++) {
    const value = at * step;
    found.push({
      value,
      label:
        unit === "number" || unit === "step" ? numberLabel(value, step, digits, top) : labelOf(value, unit),
    });
  }
  return found;
}

/** The ticks of an axis alike: all in thousands, or none. */
function numberLabel(value: number, step: number, digits: number, top: number): string {
  // so many that two ticks never read alike
  const needed = Math.min(
    17,
    Math.max(4, 1 + Math.floor(Math.log10(top)) - Math.floor(Math.log10(step) + 1e-9)),
  );
  if (value !== 0 && top >= 1e4 && step >= 100) {
    if (top >= 1e9) return needed > 9 ? tidy(value, needed) : exponentLabel(value, needed);
    return top >= 1e6 ? `${tidy(value / 1e6, needed)}M` : `${tidy(value / 1e3, needed)}k`;
  }
  if (digits > 6 || top >= 1e21) return exponentLabel(value, needed);
  return value === 0 ? "0" : value.toFixed(digits).replace(/^-/, "−");
}

function exponentLabel(value: number, digits: number): string {
  if (value === 0) return "0";
  const short = shortNumber(Number(value.toPrecision(6)));
  if (digits <= 4) return short;
  const [figures, exponent] = value.toExponential(digits - 1).split("e") as [string, string];
  return `${figures.replace(/\.?0+$/, "")}e${exponent.replace("+", "")}`.replace(/^-/, "−");
}

const tidy = (value: number, digits = 6) =>
  String(Number(value.toPrecision(Math.max(6, digits)))).replace(/^-/, "−");

function logTicks(scale: Scale, most: number): Tick[] {
  const first = Math.ceil(Math.log10(scale.min) - 1e-9);
  const last = Math.floor(Math.log10(scale.max) + 1e-9);
  const decades = last - first + 1;
  const every = Math.max(1, Math.ceil(decades / most));
  const between = decades <= most / 3 ? [1, 2, 5] : [1];
  const found: Tick[] = [];
  for (let power = first - 1; power <= last; power++) {
    if (every > 1 && (power - first) % every) continue;
    for (const factor of between) {
      const value = factor * 10 ** power;
      if (value >= scale.min * 0.999 && value <= within(scale.max * 1.001))
        found.push({ value, label: shortNumber(Number(value.toPrecision(3))) });
    }
  }
  return found;
}

function symlogTicks(scale: Scale, most: number): Tick[] {
  const values: number[] = [];
  const top = Math.max(Math.abs(scale.min), Math.abs(scale.max));
  const first = Math.ceil(Math.log10(scale.straight));
  const last = Math.floor(Math.log10(top) + 1e-9);
  const every = Math.max(1, Math.ceil((2 * (last - first + 1)) / most));
  for (let power = last; power >= first; power -= every) values.push(10 ** power, -(10 ** power));
  values.push(0);
  return values
    .filter((value) => value >= scale.min && value <= scale.max)
    .sort((one, other) => one - other)
    .map((value) => ({ value, label: shortNumber(Number(value.toPrecision(3))) }));
}

function timeTicks(scale: Scale, most: number, unit: Unit): Tick[] {
  const extent = scale.max - scale.min;
  const step = TIME_STEPS.find((each) => extent / each <= most) ?? stepFor(extent / DAY, most) * DAY;
  // days begin where people are, not in Greenwich
  const shift = unit === "time" ? new Date(scale.min).getTimezoneOffset() * MINUTE : 0;
  const found: Tick[] = [];
  const first = Math.ceil((scale.min - shift) / step);
  for (let at = first; at <= first + 2 * most && at * step + shift <= scale.max; at++) {
    const value = at * step + shift;
    found.push({ value, label: unit === "time" ? timeLabel(value, step) : labelOf(value, unit) });
  }
  return found;
}

function timeLabel(value: number, step: number): string {
  const at = new Date(value);
  if (step >= DAY) return at.toLocaleDateString("en-CA").slice(step >= 30 * DAY ? 0 : 5);
  const time = at.toLocaleTimeString("en-GB");
  if (time === "00:00:00") return at.toLocaleDateString("en-CA").slice(5);
  if (step >= MINUTE) return time.slice(0, 5);
  return step >= SECOND ? time : `${time.slice(3)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** A value of an axis in words, as the read-out has it. */
export function labelOf(value: number, unit: Unit): string {
  if (unit === "time") {
    const at = new Date(value);
    return `${at.toLocaleDateString("en-CA")} ${at.toLocaleTimeString("en-GB")}`;
  }
  if (unit === "step") return stepText(Math.round(value) || 0); // and not −0
  if (unit === "number") return shortNumber(value);
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size < SECOND) return value === 0 ? "0" : `${sign}${tidy(size)} ms`;
  if (size < MINUTE) return `${sign}${tidy(size / SECOND)} s`;
  if (size < HOUR) return `${sign}${tidy(size / MINUTE)} min`;
  if (size < 2 * DAY) return `${sign}${tidy(size / HOUR)} h`;
  return `${sign}${tidy(size / DAY)} d`;
}
