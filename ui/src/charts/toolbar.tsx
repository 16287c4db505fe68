/** How the charts of a page are drawn: one line of controls above them, all of it in the address. */

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import {
  type ChartSettings,
  keepClipped,
  keepLogX,
  keepSearch,
  keepSize,
  keepSmoothing,
  keepSort,
  keepX,
  keepY,
  keepZoom,
} from "./settings";

interface Props {
  readonly settings: ChartSettings;
  /** Metrics that may lie along x. */
  readonly metrics: readonly string[];
  readonly found: string;
  readonly children?: ComponentChildren;
}

export function ChartToolbar({ settings, metrics, found, children }: Props) {
  const x = typeof settings.x === "string" ? settings.x : `metrics.${settings.x.metric}`;
  const last = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  return (
    <div class="tools chart-tools" role="group" aria-label="How charts are drawn">
      <input
        id="find-charts"
        type="search"
        aria-label="Search metrics"
        placeholder="Search metrics"
        value={settings.search}
        onInput={(event) => {
          const text = event.currentTarget.value;
          clearTimeout(last.current);
          last.current = setTimeout(() => keepSearch(text), 120);
        }}
      />
      <output class="quiet" aria-live="polite">
        {found}
      </output>
      <label>
        x
        <select aria-label="x axis" value={x} onChange={(event) => keepX(event.currentTarget.value)}>
          <option value="step">step</option>
          <option value="time">wall time</option>
          <option value="relative">relative time</option>
          <optgroup label="another metric">
            {optionsWith(metrics, settings.x).map((metric) => (
              <option key={metric} value={`metrics.${metric}`}>
                {metric}
              </option>
            ))}
          </optgroup>
        </select>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={settings.isLogX}
          onChange={(event) => keepLogX(event.currentTarget.checked)}
        />
        log x
      </label>
      <label>
        y
        <select
          aria-label="y axis"
          value={settings.y}
          onChange={(event) => keepY(event.currentTarget.value as "linear")}
        >
          <option value="linear">linear</option>
          <option value="log">log</option>
          <option value="symlog">symlog</option>
        </select>
      </label>
      <label title="Exponential moving average over all points">
        smooth
        <input
          type="range"
          min="0"
          max="0.99"
          step="0.01"
          value={settings.smoothing}
          aria-label="Smoothing"
          onInput={(event) => keepSmoothing(Number(event.currentTarget.value))}
        />
        <output class="number" aria-live="off">
          {settings.smoothing.toFixed(2)}
        </output>
      </label>
      <label class="check" title="Leave outliers beyond the edge, marked by arrows">
        <input
          type="checkbox"
          checked={settings.isClipped}
          onChange={(event) => keepClipped(event.currentTarget.checked)}
        />
        clip outliers
      </label>
      {children}
      <span class="stretch" />
      {settings.zoom && (
        <button type="button" onClick={() => keepZoom(undefined)}>
          Zoom out
        </button>
      )}
      <label>
        <span class="hidden-text">Order of charts</span>
        <select
          value={settings.order}
          onChange={(event) => keepSort(event.currentTarget.value as "name")}
          aria-label="Order of charts"
        >
          <option value="name">by name</option>
          <option value="logged">as logged</option>
        </select>
      </label>
      <label>
        <span class="hidden-text">Size of charts</span>
        <select
          value={settings.size}
          onChange={(event) => keepSize(event.currentTarget.value as "m")}
          aria-label="Size of charts"
        >
          <option value="s">small</option>
          <option value="m">medium</option>
          <option value="l">large</option>
        </select>
      </label>
    </div>
  );
}

/** A list box of thousands helps nobody; the one that is chosen must be among them. */
function optionsWith(metrics: readonly string[], x: ChartSettings["x"]): readonly string[] {
  const few = metrics.slice(0, 200);
  return typeof x === "string" || few.includes(x.metric) ? few : [x.metric, ...few];
}
