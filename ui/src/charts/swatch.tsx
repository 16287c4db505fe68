/** How a run is drawn, beside its name: a piece of its line with its marker. */

import type { Mark } from "./marks";

const SHAPES: Readonly<Record<Mark["marker"], string>> = {
  circle: "M9 7a2 2 0 1 0 4 0a2 2 0 1 0-4 0z",
  square: "M9 5h4v4h-4z",
  triangle: "M11 4l3 5h-6z",
  diamond: "M11 3.500l3 3.500-3 3.500-3-3.500z",
  cross: "M9 5l4 4M13 5l-4 4",
};

export function Swatch({ mark }: { mark: Mark }) {
  return (
    <svg class="swatch" viewBox="0 0 22 14" width="22" height="14" aria-hidden="true">
      <path
        d="M1 7h20"
        stroke={mark.colour}
        stroke-width="2"
        {...(mark.dash.length ? { "stroke-dasharray": mark.dash.map((part) => part / 1.6).join(" ") } : {})}
      />
      <path d={SHAPES[mark.marker]} fill={mark.colour} stroke={mark.colour} />
    </svg>
  );
}
