/** Charts in sections by the first part of their names; of many, the first ones until more are asked for. */

import { useMemo, useState } from "preact/hooks";
import { count } from "../lib/format";
import { ChartCard, type DrawnRun } from "./chart_card";
import type { Link } from "./link";
import type { RunGroups } from "./run_groups";
import type { ChartSettings, SIZES } from "./settings";

interface Props {
  readonly metrics: readonly string[];
  readonly runs: readonly DrawnRun[];
  readonly settings: ChartSettings;
  readonly link: Link;
  readonly experiment?: string | undefined;
  /** Where means of groups are drawn: the group of each run. */
  readonly groupOf?: ReadonlyMap<string, string> | undefined;
  /** Where bands over all runs are drawn. */
  readonly groups?: RunGroups | undefined;
}

const HEIGHTS: Readonly<Record<(typeof SIZES)[number], number>> = { s: 150, m: 210, l: 340 };
const LARGE = 480;
const AT_FIRST = 24;
const SECTIONS_AT_FIRST = 40;

export interface Section {
  readonly name: string;
  readonly metrics: readonly string[];
}

/**
 * `train/loss` and `train/acc` are of `train`; those without a slash come first, those of the system last. One that would
 * be alone in its section is among the first, by its whole name.
 */
export function sectionsOf(metrics: readonly string[]): Section[] {
  const found = new Map<string, string[]>();
  for (const metric of metrics) {
    const slash = metric.indexOf("/");
    const name = slash > 0 ? metric.slice(0, slash) : "";
    const section = found.get(name);
    if (section) section.push(metric);
    else found.set(name, [metric]);
  }
  const alone = new Set(
    [...found].filter(([name, section]) => name && section.length === 1).map(([name]) => name),
  );
  if (alone.size) {
    const first = metrics.filter(
      (metric) => metric.indexOf("/") <= 0 || alone.has(metric.split("/", 1)[0] ?? ""),
    );
    for (const name of alone) found.delete(name);
    found.set("", first);
  }
  const rank = (name: string) => (name === "" ? 0 : name === "system" ? 2 : 1);
  return [...found]
    .map(([name, metrics]) => ({ name, metrics }))
    .sort((one, other) => rank(one.name) - rank(other.name));
}

export function ChartGrid(props: Props) {
  const sections = useMemo(() => sectionsOf(props.metrics), [props.metrics]);
  const [most, setMost] = useState(SECTIONS_AT_FIRST);
  const [large, setLarge] = useState("");
  return (
    <div class={`charts size-${props.settings.size}`}>
      {sections.slice(0, most).map((section) => (
        <ChartSection key={section.name} {...props} section={section} large={large} onLarge={setLarge} />
      ))}
      {sections.length > most && (
        <button type="button" class="more" onClick={() => setMost(most + SECTIONS_AT_FIRST)}>
          {count(sections.length - most)} more sections
        </button>
      )}
    </div>
  );
}

function ChartSection(props: Props & { section: Section; large: string; onLarge: (metric: string) => void }) {
  const { section, large, settings } = props;
  const [isFolded, setFolded] = useState(false);
  const [most, setMost] = useState(AT_FIRST);
  const name = section.name || "metrics";
  return (
    <section aria-label={name}>
      <h2>
        <button type="button" class="plain" aria-expanded={!isFolded} onClick={() => setFolded(!isFolded)}>
          <span aria-hidden="true">{isFolded ? "▸" : "▾"}</span> {name}{" "}
          <span class="quiet">{count(section.metrics.length)}</span>
        </button>
      </h2>
      {!isFolded && (
        <div class="cards">
          {section.metrics.slice(0, most).map((metric) => (
            <div key={metric} class={large === metric ? "card large" : "card"}>
              <ChartCard
                metric={metric}
                title={section.name ? metric.slice(section.name.length + 1) : metric}
                runs={props.runs}
                settings={settings}
                link={props.link}
                height={large === metric ? LARGE : HEIGHTS[settings.size]}
                isLarge={large === metric}
                onLarge={() => props.onLarge(large === metric ? "" : metric)}
                experiment={props.experiment}
                groupOf={props.groupOf}
                groups={props.groups}
              />
            </div>
          ))}
        </div>
      )}
      {!isFolded && section.metrics.length > most && (
        <button type="button" class="more" onClick={() => setMost(most + 2 * AT_FIRST)}>
          {count(section.metrics.length - most)} more of {name}
        </button>
      )}
    </section>
  );
}
