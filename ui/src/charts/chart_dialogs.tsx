/** What a chart's menu opens: its values as a table, and the code that gets them. */

import { CopyBlock } from "../app/copy";
import { Dialog } from "../app/dialog";
import { count, many, shortNumber } from "../lib/format";
import type { Line, Picture } from "./draw";
import { curlOf, pythonOf, type Shown } from "./export";
import { labelOf, valueAt } from "./scale";
import { isElsewhere, nearest } from "./series";

const ROWS = 25;
const COLUMNS = 12;

function Sheet(props: { title: string; onClose: () => void; children: preact.ComponentChildren }) {
  return (
    <Dialog kind="wide" title={props.title} onClose={props.onClose}>
      {props.children}
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </Dialog>
  );
}

/** The chart in numbers: evenly spaced places of its window, a column a line. */
export function ValueTable(props: { title: string; picture: Picture; onClose: () => void }) {
  const { picture } = props;
  const lines = picture.lines.slice(0, COLUMNS);
  const wanted = Array.from({ length: ROWS }, (_, at) => valueAt(picture.x, at / (ROWS - 1)));
  // clocks of runs do not tick together
  const close = picture.xUnit === "step" ? 0 : (picture.x.max - picture.x.min) / (4 * ROWS);
  // where any line has a point, and each of them once
  const places = [...new Set(wanted.map((x) => nearestOf(lines, x)))].sort((one, other) => one - other);
  return (
    <Sheet title={props.title} onClose={props.onClose}>
      <p class="quiet">
        {many(places.length, "place", "places")} of what the chart shows
        {picture.lines.length > COLUMNS && `, ${COLUMNS} of ${count(picture.lines.length)} lines`}; all of it
        is in the CSV file.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="scrolls" tabIndex={0} role="region" aria-label="Values">
        <table class="values">
          <thead>
            <tr>
              <th scope="col">{picture.xTitle || "x"}</th>
              {lines.map((line) => (
                <th scope="col" key={line.series.run + line.series.key} class="number">
                  {line.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {places.map((x) => (
              <tr key={x}>
                <th scope="row">{labelOf(x, picture.xUnit)}</th>
                {lines.map(({ series }) => {
                  const at = nearest(series.x, x);
                  const isThere = at >= 0 && x >= (series.x[0] as number) && x <= (series.x.at(-1) as number);
                  return (
                    <td key={series.run + series.key} class="number">
                      {isThere ? shortNumber((series.smooth ?? series.mid)[at] as number) : ""}
                      {isThere && isElsewhere(series, at, x, close) && (
                        <small class="quiet"> at {labelOf(series.x[at] as number, picture.xUnit)}</small>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Sheet>
  );
}

/** The place of the point that is nearest to x, of whatever line. */
function nearestOf(lines: readonly Line[], x: number): number {
  let best = x;
  let far = Number.POSITIVE_INFINITY;
  for (const { series } of lines) {
    const at = nearest(series.x, x);
    const distance = Math.abs((series.x[at] ?? Number.POSITIVE_INFINITY) - x);
    if (distance < far) [best, far] = [series.x[at] as number, distance];
  }
  return best;
}

export function CodeSheet(props: { shown: Shown; onClose: () => void }) {
  return (
    <Sheet title={`${props.shown.key} by code`} onClose={props.onClose}>
      <h3>Python, every point</h3>
      <CopyBlock label="Python" text={pythonOf(props.shown)} />
      <h3>What this chart reads</h3>
      <CopyBlock label="curl" text={curlOf(props.shown)} />
    </Sheet>
  );
}
