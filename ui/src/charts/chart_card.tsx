/** One chart of a grid: a metric of one run or of many, with its menu. Read and drawn only while it is in sight. */

import { useComputed } from "@preact/signals";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { isDark } from "../app/theme";
import { tellFailure } from "../app/toasts";
import { count, many, shortNumber } from "../lib/format";
import { BANDS, type BandsPage, bandSeries, groupId } from "./bands";
import { CodeSheet, ValueTable } from "./chart_dialogs";
import type { Line, Picture } from "./draw";
import { csvOf, pngOf, save, svgOf } from "./export";
import { groupSlots, groupsOf } from "./groups";
import { inks } from "./inks";
import { LineChart } from "./line_chart";
import type { Link } from "./link";
import { type Mark, markAt } from "./marks";
import type { RunGroups } from "./run_groups";
import { type Scale, scaleOver, type Unit } from "./scale";
import { clippedExtent, extentOf, nearest, type Series, straightPart } from "./series";
import { type ChartSettings, keepZoom } from "./settings";
import { useBands } from "./use_bands";
import { useSeries } from "./use_series";

export interface DrawnRun {
  readonly id: string;
  readonly name: string;
  readonly slot: number;
}

interface Props {
  readonly metric: string;
  readonly title?: string;
  readonly runs: readonly DrawnRun[];
  readonly settings: ChartSettings;
  readonly link: Link;
  readonly height: number;
  readonly isLarge?: boolean;
  readonly onLarge?: () => void;
  /** Of all runs, where the page follows it. */
  readonly experiment?: string | undefined;
  /** Where means of groups are drawn: the group of each run. */
  readonly groupOf?: ReadonlyMap<string, string> | undefined;
  /** Where bands over all runs of groups are drawn; `runs` are then those of opened groups. */
  readonly groups?: RunGroups | undefined;
}

const LEAST_PIXELS = 60;

export function ChartCard(props: Props) {
  const { metric, runs, link, height, groupOf, groups } = props;
  const id = useId();
  const card = useRef<HTMLElement>(null);
  const [isInSight, setInSight] = useState(false);
  const [width, setWidth] = useState(0);
  const [zoomY, setZoomY] = useState<readonly [number, number] | undefined>(undefined);
  const [sheet, setSheet] = useState<"" | "table" | "code">("");
  /** Of a chart that lies along time because it was logged without steps: the others' is of steps. */
  const [timeZoom, setTimeZoom] = useState<readonly [number, number] | undefined>(undefined);
  const [hasOwnTime, setOwnTime] = useState(false);
  const settings = useMemo(
    () => (hasOwnTime ? { ...props.settings, zoom: timeZoom } : props.settings),
    [props.settings, hasOwnTime, timeZoom],
  );
  useLayoutEffect(() => {
    const element = card.current;
    if (!element) return;
    const size = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    const sight = new IntersectionObserver(
      (entries) => {
        setInSight(entries.at(-1)?.isIntersecting ?? false);
      },
      { rootMargin: "160px" },
    );
    setWidth(Math.floor(element.clientWidth));
    size.observe(element);
    sight.observe(element);
    return () => {
      size.disconnect();
      sight.disconnect();
    };
  }, []);

  const found = useSeries({
    runs: useMemo(() => runs.map((run) => run.id), [runs]),
    key: metric,
    x: settings.x,
    zoom: settings.zoom,
    width,
    smoothing: settings.smoothing,
    isInSight,
    experiment: props.experiment,
  });
  const bands = useBands({
    query: groups?.query,
    key: metric,
    x: typeof settings.x === "string" ? settings.x : "step",
    zoom: settings.zoom,
    width,
    smoothing: settings.smoothing,
    isInSight,
  });
  const series = found.series.value;
  const page = bands.page.value;
  const isByTime = groups ? bands.isByTime.value : found.isByTime.value;
  const isOwnTime = isByTime && settings.x === "step";
  if (isOwnTime !== hasOwnTime) setOwnTime(isOwnTime);
  const error = (groups ? bands : found).error.value;
  const dark = isDark.value;
  const ink = inks();
  const lines = useMemo<readonly Line[] | undefined>(() => {
    const byRun = new Map(runs.map((run) => [run.id, run]));
    if (groups) {
      if (!page) return undefined;
      return linesOfGroups(page, groups, settings, metric, series ?? [], byRun, dark);
    }
    if (groupOf) {
      const slots = groupSlots(groupOf);
      const drawn = (series ?? []).filter((each) => byRun.has(each.run));
      const band = settings.band === "minmax" ? "minmax" : "std";
      return groupsOf(drawn, (run) => groupOf.get(run) ?? "", band).map((group) => ({
        series: group.series,
        mark: markAt(slots.get(group.value) ?? 0, dark),
        label: `${group.value || "none"} (${many(group.runs, "run", "runs")})`,
        isGroup: true,
      }));
    }
    return series?.flatMap((each) => {
      const run = byRun.get(each.run);
      if (!run || each.x.length + each.odd.length === 0) return [];
      const mark: Mark = markAt(run.slot, dark);
      return [{ series: each, mark, label: runs.length === 1 ? metric : run.name }];
    });
  }, [series, page, groups, runs, dark, groupOf, settings.centre, settings.band, settings.hidden.join()]);

  const xTitle =
    typeof settings.x !== "string" ? settings.x.metric : isOwnTime ? "time" : xTitles[settings.x];
  const picture = useMemo<Picture | undefined>(() => {
    if (!lines?.length || width < LEAST_PIXELS) return undefined;
    const all = lines.map((line) => line.series);
    const unit = unitOf(settings.x, isOwnTime);
    const x = xScale(all, settings, unit);
    return {
      width,
      height,
      lines,
      x,
      y: yScale(all, x, settings, zoomY),
      xUnit: unit,
      xTitle,
      inks: ink,
      isSmoothed: settings.smoothing > 0,
    };
  }, [lines, width, height, settings, zoomY, ink, isOwnTime]);

  const title = props.title ?? metric;
  const shown = {
    runs: runs.map((run) => run.id),
    key: metric,
    x: typeof settings.x === "string" ? settings.x : "step",
    zoom: settings.zoom,
    width: Math.max(100, 100 * Math.ceil(width / 100)),
    smoothing: settings.smoothing,
    groups: groups?.query,
  };
  const isLoading = (groups ? bands : found).isLoading.value && isInSight;
  return (
    <article
      ref={card}
      class={`chart${isLoading ? " loading" : ""}`}
      aria-label={title}
      aria-busy={isLoading}
      data-metric={metric}
    >
      <header>
        <h3 title={metric}>{title}</h3>
        <Readout link={link} picture={picture} />
        <ChartMenu
          title={title}
          picture={picture}
          name={metric}
          isLarge={props.isLarge}
          onLarge={props.onLarge}
          onSheet={setSheet}
        />
      </header>
      {picture ? (
        <LineChart
          id={id}
          name={title}
          picture={picture}
          link={link}
          isZoomed={settings.zoom !== undefined || zoomY !== undefined}
          onZoom={isOwnTime ? setTimeZoom : keepZoom}
          onZoomY={setZoomY}
          onTable={() => setSheet("table")}
        />
      ) : (
        <div class="plot waiting" style={{ height: `${height}px` }}>
          {error ? (
            <p role="alert">
              {error.message}{" "}
              <button type="button" onClick={() => (groups ? bands : found).reload()}>
                Try again
              </button>
            </p>
          ) : lines && width ? (
            <p class="quiet">No run that is shown has points of this metric here.</p>
          ) : null}
        </div>
      )}
      <footer class="quiet">
        {noteOf(
          lines,
          picture,
          groups ? bandsNote(settings, page) : groupOf ? groupNote(settings, runs.length) : undefined,
          error?.message,
        )}
      </footer>
      {sheet === "table" && picture && (
        <ValueTable title={title} picture={picture} onClose={() => setSheet("")} />
      )}
      {sheet === "code" && <CodeSheet shown={shown} onClose={() => setSheet("")} />}
    </article>
  );
}

const xTitles = { step: "step", time: "time", relative: "since the start of the run" } as const;

function unitOf(x: ChartSettings["x"], isByTime: boolean): Unit {
  if (typeof x !== "string") return "number";
  if (x === "relative") return "duration";
  return x === "time" || isByTime ? "time" : "step";
}

function xScale(all: readonly Series[], settings: ChartSettings, unit: Unit): Scale {
  const kind = settings.isLogX && unit !== "time" ? "log" : "linear";
  if (settings.zoom) return scaleOver(settings.zoom[0], settings.zoom[1], kind);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const see = (x: number | undefined) => {
    if (x === undefined || (kind === "log" && x <= 0)) return;
    if (x < low) low = x;
    if (x > high) high = x;
  };
  for (const { x, odd, firstStep, lastStep } of all) {
    // the first and the last column are wider than their places tell
    if (unit === "step") {
      see(firstStep);
      see(lastStep);
    }
    see(x.at(-1));
    // the first that a logarithm has
    see(kind === "log" ? x.find((value) => value > 0) : x[0]);
    see(odd[0]?.x);
    see(odd.at(-1)?.x);
  }
  // room around the only place
  const room = low === high && kind === "linear" ? (unit === "step" ? 1 : unit === "number" ? 0 : 30_000) : 0;
  return scaleOver(low - room, high + room, kind);
}

function yScale(
  all: readonly Series[],
  x: Scale,
  settings: ChartSettings,
  zoom: readonly [number, number] | undefined,
): Scale {
  const straight = settings.y === "symlog" ? straightPart(all) : 1;
  if (zoom) return scaleOver(zoom[0], zoom[1], settings.y, straight);
  const { low, high } = settings.isClipped
    ? clippedExtent(all, x.min, x.max)
    : extentOf(all, x.min, x.max, { onlyPositive: settings.y === "log" });
  return scaleOver(low, high, settings.y, straight, 0.04);
}

const byNames = (settings: ChartSettings) =>
  settings.groupBy.map((name) => name.replace(/^\w+\./, "")).join(" and ");

const groupNote = (settings: ChartSettings, runs: number) =>
  `mean of ${many(runs, "run", "runs")} that are listed, by ${byNames(settings)}, band: ${settings.band === "minmax" ? "min to max" : "± std"}`;

/** Of how much a group's line is the middle: of all runs, or that it is not. */
function bandsNote(settings: ChartSettings, page: BandsPage | undefined): string {
  if (!page) return "";
  const runs = page.groups.reduce((sum, group) => sum + group.runs, 0);
  const points = page.groups.reduce((sum, group) => sum + group.points, 0);
  const what = `${settings.centre} of ${page.complete ? "all " : "the newest "}${many(runs, "run", "runs")}`;
  return `${what} by ${byNames(settings)}, band: ${BANDS[settings.band]} · ${many(points, "point", "points")}`;
}

/** The runs of opened groups behind the bands of all groups. */
function linesOfGroups(
  page: BandsPage,
  groups: RunGroups,
  settings: ChartSettings,
  metric: string,
  series: readonly Series[],
  byRun: ReadonlyMap<string, DrawnRun>,
  dark: boolean,
): Line[] {
  const members = series.flatMap((each): Line[] => {
    const run = byRun.get(each.run);
    if (!run || each.x.length === 0) return [];
    return [{ series: each, mark: { ...markAt(run.slot, dark), dash: [] }, label: run.name, isMember: true }];
  });
  const middles = page.groups.flatMap((band): (Line & { slot: number })[] => {
    const group = groups.byId.get(groupId(band.keys ?? []));
    if (!group || band.runs === 0 || settings.hidden.includes(group.id)) return [];
    const mark = markAt(group.slot, dark);
    const drawn = bandSeries(band, metric, settings.centre, settings.band);
    const label = `${group.label} (${many(band.runs, "run", "runs")})`;
    return [{ series: drawn, mark, label, isGroup: true, slot: group.slot }];
  });
  return [...members, ...middles.sort((one, other) => one.slot - other.slot)];
}

/** What is drawn of how much: "min/max of 20,000". */
function noteOf(
  lines: readonly Line[] | undefined,
  picture: Picture | undefined,
  note: string | undefined,
  failure: string | undefined,
): string {
  if (failure && picture) return failure;
  if (note !== undefined) return note;
  if (!lines?.length) return "";
  const longest = lines.reduce((one, other) => (other.series.total > one.series.total ? other : one)).series;
  const isRaw = lines.every((line) => line.series.isRaw);
  const isPart = longest.count < longest.total;
  const parts = [isRaw ? `all ${count(longest.total)} points` : `min/max of ${count(longest.total)}`];
  if (isPart)
    parts[0] = `${isRaw ? "" : "min/max of "}${count(longest.count)} of ${count(longest.total)} points`;
  else if (isRaw && longest.total === 1) parts[0] = "one point";
  const isAlike = lines.every((line) => line.series.total === longest.total);
  if (lines.length > 1) parts[0] += isAlike ? " a line" : " in the longest line";
  const odd = lines.reduce((sum, line) => sum + line.series.odd.length, 0);
  // of columns it is said which have any, not how many
  if (odd) parts.push(isRaw ? `${count(odd)} not finite` : `not finite at ${many(odd, "place", "places")}`);
  return parts.join(" · ");
}

/** The value at the cursor of all charts, in the head of each that has one line; else that of the lit run. */
function Readout({ link, picture }: { link: Link; picture: Picture | undefined }) {
  const text = useComputed(() => {
    const cursor = link.cursor.value;
    if (!cursor || picture?.lines.length !== 1) return "";
    return readOne(picture, cursor.x);
  });
  const last = picture?.lines.length === 1 ? picture.lines[0]?.series : undefined;
  const at = text.value;
  return (
    <output class="reading" aria-live="off">
      {at || (last?.mid.length ? shortNumber((last.smooth ?? last.mid).at(-1) as number) : "")}
    </output>
  );
}

function readOne(picture: Picture, x: number): string {
  const line = picture.lines[0];
  if (!line) return "";
  const { series } = line;
  const at = nearest(series.x, x); // as the mark on the line
  const values = (picture.isSmoothed && series.smooth) || series.mid;
  return at < 0 ? "" : shortNumber(values[at] as number);
}

function ChartMenu(props: {
  title: string;
  name: string;
  picture: Picture | undefined;
  isLarge: boolean | undefined;
  onLarge: (() => void) | undefined;
  onSheet: (sheet: "table" | "code") => void;
}) {
  const { picture, name } = props;
  const details = useRef<HTMLDetailsElement>(null);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (!isOpen) return;
    const close = (event: Event) => {
      if (!details.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, [isOpen]);
  const titled = () => picture && { ...picture, height: picture.height + 18, title: props.title };
  const act = (what: () => void | Promise<void>) => async () => {
    setOpen(false);
    try {
      await what();
    } catch (error) {
      tellFailure(error);
    }
  };
  return (
    <details
      ref={details}
      class="menu"
      open={isOpen}
      onToggle={(event) => setOpen(event.currentTarget.open)}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        setOpen(false);
        details.current?.querySelector("summary")?.focus();
        event.stopPropagation();
      }}
    >
      <summary aria-label={`More of ${props.title}`}>⋯</summary>
      {isOpen && (
        <div class="choices">
          {props.onLarge && (
            <button type="button" onClick={act(props.onLarge)}>
              {props.isLarge ? "Small again" : "Large"}
            </button>
          )}
          <button type="button" disabled={!picture} onClick={act(() => props.onSheet("table"))}>
            Values as a table
          </button>
          <button type="button" onClick={act(() => props.onSheet("code"))}>
            Show as code
          </button>
          <button
            type="button"
            disabled={!picture}
            onClick={act(async () => {
              const shown = titled();
              const file = shown && (await pngOf(shown));
              if (file) save(file, `${name}.png`);
            })}
          >
            Save as PNG
          </button>
          <button
            type="button"
            disabled={!picture}
            onClick={act(() => {
              const shown = titled();
              if (shown) save(new Blob([svgOf(shown)], { type: "image/svg+xml" }), `${name}.svg`);
            })}
          >
            Save as SVG
          </button>
          <button
            type="button"
            disabled={!picture}
            onClick={act(() => {
              if (picture) save(new Blob([csvOf(picture)], { type: "text/csv" }), `${name}.csv`);
            })}
          >
            Save as CSV
          </button>
        </div>
      )}
    </details>
  );
}
