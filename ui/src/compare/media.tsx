/**
 * Images, sounds and tables by step of the compared runs, under one step control: each run shows the last step up to it, and
 * says which where it is another.
 */

import "../styles/charts.css";
import { useMemo } from "preact/hooks";
import { useResource } from "../api/resource";
import { query, setQuery } from "../app/router";
import { Failure, Skeleton } from "../app/states";
import { isDark } from "../app/theme";
import { markAt, slotOf } from "../charts/marks";
import type { MediaFile } from "../charts/media_files";
import { listMedia, Medium } from "../charts/media_steps";
import { Swatch } from "../charts/swatch";
import { count, many, stepText } from "../lib/format";
import { litRun } from "../runs/lit";
import type { NamedRun } from "./compared";
import { stepsOf, upTo } from "./media_at";
import { eachOf } from "./some_at_a_time";

/** Each is a request for its list, and one for what it shows. */
const MOST_RUNS = 12;
const MOST_KEYS = 8;

export function ComparedMedia({ runs }: { readonly runs: readonly NamedRun[] }) {
  const shown = runs.slice(0, MOST_RUNS);
  const media = useResource(shown.map((run) => run.id).join(), (abort) =>
    eachOf(shown, async (run) => [run.id, await listMedia(run.id, abort)] as const),
  );
  // by run: until the next are there, these are of those that were shown before
  const byRun = new Map(media.value.value);
  const found = useMemo(() => media.value.value?.map(([, files]) => files), [media.value.value]);
  const steps = useMemo(() => stepsOf((found ?? []).flatMap((each) => [...each.values()])), [found]);
  const dark = isDark.value;
  const lit = litRun.value;
  if (media.error.value && !found)
    return <Failure error={media.error.value} retry={() => void media.reload()} />;
  if (!found) return <Skeleton lines={4} />;
  if (steps.length === 0) return <p class="quiet">No run has logged an image, a sound or a table by step.</p>;
  const keys = [...new Set(found.flatMap((each) => [...each.keys()]))].sort();
  const asked = query.value.get("step");
  const last = steps.at(-1) as number;
  const step = asked === null || !Number.isFinite(Number(asked)) ? last : Number(asked);
  const place = Math.max(
    0,
    steps.findLastIndex((each) => each <= step),
  );
  return (
    <div class="compared-media">
      <label class="step-slider">
        Step
        <input
          type="range"
          min="0"
          max={steps.length - 1}
          value={place}
          disabled={steps.length === 1}
          aria-valuetext={`step ${steps[place]}`}
          onInput={(event) => {
            const next = Number(event.currentTarget.value);
            setQuery({ step: next >= steps.length - 1 ? null : String(steps[next]) });
          }}
        />
        <output>
          {stepText(steps[place] as number)}{" "}
          <span class="quiet">
            {count(place + 1)} of {count(steps.length)}
          </span>
        </output>
      </label>
      {runs.length > MOST_RUNS && (
        <p class="quiet">
          Of the first {MOST_RUNS} of {many(runs.length, "run", "runs")}.
        </p>
      )}
      {keys.slice(0, MOST_KEYS).map((key) => (
        <section key={key} aria-label={key}>
          <h3>{key}</h3>
          <div class="media-row">
            {shown.map((run) => {
              const file = upTo(byRun.get(run.id)?.get(key) ?? [], steps[place] as number);
              return (
                <figure
                  key={run.id}
                  class={lit === run.id ? "lit" : ""}
                  onMouseEnter={() => (litRun.value = run.id)}
                  onMouseLeave={() => (litRun.value = undefined)}
                >
                  <figcaption>
                    <Swatch mark={markAt(slotOf(run.id), dark)} /> {run.name}{" "}
                    <span class="quiet">{saidOf(file, steps[place] as number)}</span>
                  </figcaption>
                  {file && (
                    <Medium key={file.path} file={file} runId={run.id} name={`${key} of ${run.name}`} />
                  )}
                </figure>
              );
            })}
          </div>
        </section>
      ))}
      {keys.length > MOST_KEYS && <p class="quiet">{count(keys.length - MOST_KEYS)} more are not shown.</p>}
    </div>
  );
}

function saidOf(file: MediaFile | undefined, step: number): string {
  if (!file) return "none up to this step";
  return file.step === step ? "" : `step ${stepText(file.step)}`;
}
