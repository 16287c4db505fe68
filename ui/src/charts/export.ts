/** Files of what a chart shows: PNG, SVG, CSV; and the code that gets the same numbers. */

import { serverAddress } from "../api/request";
import { saveBlob } from "../app/save_file";
import { csvCell } from "../lib/csv";
import type { GroupQuery } from "./bands";
import { type Picture, paint } from "./draw";
import { canvasPen, SvgPen } from "./pen";
import { lastUpTo } from "./series";

const PNG_RATIO = 2;

export function save(content: Blob, name: string): void {
  saveBlob(content, name.replace(/[^\w.-]+/g, "_"));
}

export function svgOf(picture: Picture): string {
  const pen = new SvgPen(picture.width, picture.height);
  paint(pen, picture);
  return pen.document();
}

export function pngOf(picture: Picture): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = picture.width * PNG_RATIO;
  canvas.height = picture.height * PNG_RATIO;
  const context = canvas.getContext("2d");
  if (context) {
    context.scale(PNG_RATIO, PNG_RATIO);
    paint(canvasPen(context), picture);
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** A line of names and one for each point or column of pixels that is within the chart. */
export function csvOf(picture: Picture): string {
  const isSmoothed = picture.isSmoothed;
  const rows: unknown[][] = [
    ["run_id", "run", "metric", "x", "value", "low", "high", ...(isSmoothed ? ["smoothed"] : [])],
  ];
  // digits of a step beyond 2⁵³ are not all there
  const isWhole = picture.xUnit === "step";
  for (const { series, label, isGroup } of picture.lines) {
    const last = lastUpTo(series.x, picture.x.max);
    for (let at = 0; at <= last; at++) {
      const x = series.x[at] as number;
      if (x < picture.x.min) continue;
      const row: unknown[] = [
        isGroup ? "" : series.run,
        label,
        series.key,
        isWhole && !Number.isSafeInteger(x) && Math.abs(x) > Number.MAX_SAFE_INTEGER ? `≈${x}` : x,
        series.mid[at],
        series.low[at],
        series.high[at],
      ];
      if (isSmoothed) row.push(series.smooth?.[at] ?? "");
      rows.push(row);
    }
  }
  return rows.map((row) => row.map(csvCell).join(",")).join("\n");
}

export interface Shown {
  readonly runs: readonly string[];
  readonly key: string;
  readonly x: string;
  readonly zoom: readonly [number, number] | undefined;
  readonly width: number;
  readonly smoothing: number;
  /** Where bands are drawn: of which groups. */
  readonly groups?: GroupQuery | undefined;
}

/** As `runs` in Python has them, on one line while they are few. */
const listed = (names: readonly string[]) =>
  names.length < 3
    ? `[${names.map((name) => JSON.stringify(name)).join(", ")}]`
    : `[\n${names.map((name) => `    ${JSON.stringify(name)},`).join("\n")}\n]`;

export function pythonOf(shown: Shown): string {
  if (shown.groups) return pythonOfGroups(shown.groups, shown.key);
  return `import slipstream

slipstream.set_tracking_uri(${JSON.stringify(serverAddress())})
client = slipstream.MlflowClient()
for run_id in ${listed(shown.runs)}:
    for point in client.get_metric_history(run_id, ${JSON.stringify(shown.key)}):
        print(run_id, point.step, point.timestamp, point.value)`;
}

function pythonOfGroups(groups: GroupQuery, key: string): string {
  const values = groups.by.map((name) => {
    const key = name.slice(name.indexOf(".") + 1);
    if (name.startsWith("attributes.")) return `run.info.${key}`;
    return `run.data.${name.startsWith("params.") ? "params" : "tags"}.get(${JSON.stringify(key)})`;
  });
  const view =
    groups.view_type === "DELETED_ONLY" ? ", run_view_type=slipstream.entities.ViewType.DELETED_ONLY" : "";
  return `import slipstream

slipstream.set_tracking_uri(${JSON.stringify(serverAddress())})
client = slipstream.MlflowClient()
runs = slipstream.search_runs(
    ${JSON.stringify(groups.experiment_ids)}, ${JSON.stringify(groups.filter)}, output_format="list"${view}
)
for run in runs:
    for point in client.get_metric_history(run.info.run_id, ${JSON.stringify(key)}):
        print(${values.join(", ")}, run.info.run_id, point.step, point.timestamp, point.value)`;
}

export function curlOf(shown: Shown): string {
  const body: Record<string, unknown> = shown.groups
    ? { ...shown.groups, key: shown.key, x: shown.x, width: shown.width }
    : { run_ids: shown.runs, keys: [shown.key], x: shown.x, width: shown.width };
  const route = shown.groups ? "bands" : "envelope";
  if (shown.zoom) {
    body.start = Math.floor(shown.zoom[0]);
    body.end = Math.ceil(shown.zoom[1]);
  }
  if (shown.smoothing) body.smoothing = shown.smoothing;
  const text = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl --compressed '${serverAddress()}/api/slipstream/v1/metrics/${route}' \\
  -H 'content-type: application/json' \\
  -d '${text}'`;
}
