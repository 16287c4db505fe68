/** A chart in words: what those are told who do not see it. */

import { many, shortNumber } from "../lib/format";
import type { Line, Picture } from "./draw";
import { labelOf } from "./scale";

const TOLD = 5;

/** How many lines there are, over what, and where the first of them begin, end and turn. */
export function summaryOf(picture: Picture): string {
  const { lines, x, xUnit } = picture;
  const over = `over ${picture.xTitle || "x"} from ${labelOf(x.min, xUnit)} to ${labelOf(x.max, xUnit)}`;
  const told = lines.slice(0, TOLD).flatMap((line) => lineText(picture, line));
  const more = lines.length > TOLD ? [`And ${lines.length - TOLD} more.`] : [];
  return [`${lines.length === 1 ? "One line" : `${lines.length} lines`} ${over}.`, ...told, ...more].join(
    " ",
  );
}

function lineText({ x, xUnit }: Picture, { series, label }: Line): string[] {
  const values = series.smooth ?? series.mid;
  // a mean is not what is least or most
  const lows = series.smooth ?? series.low;
  const highs = series.smooth ?? series.high;
  let first = -1;
  let last = -1;
  let least = -1;
  let most = -1;
  for (let at = 0; at < values.length; at++) {
    const place = series.x[at] as number;
    const value = values[at] as number;
    if (place < x.min || place > x.max || !Number.isFinite(value)) continue;
    if (first < 0) first = at;
    last = at;
    if (least < 0 || (lows[at] as number) < (lows[least] as number)) least = at;
    if (most < 0 || (highs[at] as number) > (highs[most] as number)) most = at;
  }
  const odd = series.odd.filter((each) => each.x >= x.min && each.x <= x.max).length;
  const also = odd ? `, not finite at ${many(odd, "place", "places")}` : "";
  if (first < 0) return [`${label}: no value here${also}.`];
  const value = (at: number) => shortNumber(values[at] as number);
  const placed = (at: number, of = values) =>
    `${shortNumber(of[at] as number)} at ${labelOf(series.x[at] as number, xUnit)}`;
  if (first === last) return [`${label}: ${placed(first)}${also}.`];
  return [
    `${label}: from ${value(first)} to ${value(last)}, least ${placed(least, lows)}, most ${placed(most, highs)}${also}.`,
  ];
}
