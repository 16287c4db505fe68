/** What a chart is drawn with: a canvas on the page, or SVG for a file. Both draw the same, from the same calls. */

import type { Marker } from "./marks";

export interface Stroke {
  readonly colour: string;
  readonly width: number;
  readonly alpha?: number;
  readonly dash?: readonly number[];
}

export interface Letters {
  readonly colour: string;
  readonly align: "left" | "center" | "right";
  readonly baseline?: "top" | "middle" | "bottom";
  readonly size?: number;
  readonly bold?: boolean;
  /** In degrees, around the text's place. */
  readonly turn?: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Pen {
  /** Through points in pixels; NaN lifts the pen. */
  line(x: ArrayLike<number>, y: ArrayLike<number>, stroke: Stroke): void;
  /** A column for each x, from one y to the other. */
  columns(
    x: ArrayLike<number>,
    from: ArrayLike<number>,
    to: ArrayLike<number>,
    width: number,
    stroke: Stroke,
  ): void;
  /** Between two lines over the same x. */
  band(
    x: ArrayLike<number>,
    low: ArrayLike<number>,
    high: ArrayLike<number>,
    colour: string,
    alpha: number,
  ): void;
  box(box: Box, colour: string, alpha?: number): void;
  marker(
    kind: Marker | "up" | "down",
    x: number,
    y: number,
    radius: number,
    colour: string,
    alpha?: number,
  ): void;
  text(text: string, x: number, y: number, letters: Letters): void;
  /** Draw inside a box only. */
  within(box: Box, draw: () => void): void;
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const CORNERS: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  square: [
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ],
  diamond: [
    [0, -1.2],
    [1.2, 0],
    [0, 1.2],
    [-1.2, 0],
  ],
  triangle: [
    [0, -1.2],
    [1.1, 0.9],
    [-1.1, 0.9],
  ],
  up: [
    [0, -1.2],
    [1.1, 0.9],
    [-1.1, 0.9],
  ],
  down: [
    [0, 1.2],
    [1.1, -0.9],
    [-1.1, -0.9],
  ],
};

/** Lines of so many points are drawn by hairs. */
const DENSE = 150;
/** Up to this width; what is bolder is lit, and alone. */
const FINE = 2;

/**
 * A pen on a canvas whose transform tells how many of its pixels are one of the page.
 *
 * To stroke a path that is wider than a pixel takes browsers without a graphics card ten times as long as to stroke a hair
 * (20 lines of 500 points: 16 ms, and 2 ms). So dense lines are hairs beside each other.
 */
export function canvasPen(context: CanvasRenderingContext2D): Pen {
  const ratio = context.getTransform?.().a || 1;
  const set = (stroke: Stroke) => {
    context.strokeStyle = stroke.colour;
    context.fillStyle = stroke.colour;
    context.lineWidth = stroke.width;
    context.globalAlpha = stroke.alpha ?? 1;
    context.setLineDash(stroke.dash ? [...stroke.dash] : []);
    context.lineJoin = "round";
  };
  return {
    line(x, y, stroke) {
      set(stroke);
      const trace = (by: number) => {
        context.beginPath();
        let isDown = false;
        for (let at = 0; at < x.length; at++) {
          const height = (y[at] as number) + by;
          if (Number.isNaN(height)) isDown = false;
          else if (isDown) context.lineTo(x[at] as number, height);
          else {
            context.moveTo(x[at] as number, height);
            isDown = true;
          }
        }
        context.stroke();
      };
      const pixels = stroke.width * ratio;
      // what shines through would be darker where hairs lie over each other
      if (x.length < DENSE || pixels <= 1 || stroke.width > FINE || (stroke.alpha ?? 1) < 1) trace(0);
      else {
        const hairs = Math.ceil(pixels);
        context.lineWidth = 1 / ratio;
        for (let hair = 0; hair < hairs; hair++) trace(((hair / (hairs - 1) - 0.5) * (pixels - 1)) / ratio);
      }
      context.globalAlpha = 1;
    },
    columns(x, from, to, width, stroke) {
      set(stroke);
      // whole pixels are filled faster, and columns that touch then neither overlap nor leave a seam
      const whole = (value: number) => Math.round(value * ratio) / ratio;
      for (let at = 0; at < x.length; at++) {
        const top = whole(Math.min(from[at] as number, to[at] as number) - 0.5);
        const bottom = whole(Math.max(from[at] as number, to[at] as number) + 0.5);
        if (Number.isNaN(bottom)) continue;
        const left = whole((x[at] as number) - width / 2);
        context.fillRect(left, top, whole((x[at] as number) + width / 2) - left, bottom - top);
      }
      context.globalAlpha = 1;
    },
    band(x, low, high, colour, alpha) {
      context.fillStyle = colour;
      context.globalAlpha = alpha;
      context.beginPath();
      for (const [first, end] of stretches(low)) {
        context.moveTo(x[first] as number, low[first] as number);
        for (let at = first + 1; at < end; at++) context.lineTo(x[at] as number, low[at] as number);
        for (let at = end - 1; at >= first; at--) context.lineTo(x[at] as number, high[at] as number);
        context.closePath();
      }
      context.fill();
      context.globalAlpha = 1;
    },
    box(box, colour, alpha = 1) {
      context.fillStyle = colour;
      context.globalAlpha = alpha;
      context.fillRect(box.left, box.top, box.width, box.height);
      context.globalAlpha = 1;
    },
    marker(kind, x, y, radius, colour, alpha = 1) {
      context.fillStyle = colour;
      context.strokeStyle = colour;
      context.globalAlpha = alpha;
      context.beginPath();
      const corners = CORNERS[kind];
      if (kind === "cross") {
        context.setLineDash([]);
        context.lineWidth = Math.max(1.5, radius / 2);
        context.moveTo(x - radius, y - radius);
        context.lineTo(x + radius, y + radius);
        context.moveTo(x + radius, y - radius);
        context.lineTo(x - radius, y + radius);
        context.stroke();
      } else if (corners) {
        for (const [dx, dy] of corners) context.lineTo(x + dx * radius, y + dy * radius);
        context.fill();
      } else {
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
      }
      context.globalAlpha = 1;
    },
    text(text, x, y, letters) {
      context.font = `${letters.bold ? "600 " : ""}${letters.size ?? 11}px ${FONT}`;
      context.fillStyle = letters.colour;
      context.textAlign = letters.align;
      context.textBaseline = letters.baseline ?? "middle";
      if (!letters.turn) {
        context.fillText(text, x, y);
        return;
      }
      context.save();
      context.translate(x, y);
      context.rotate((letters.turn * Math.PI) / 180);
      context.fillText(text, 0, 0);
      context.restore();
    },
    within(box, draw) {
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.width, box.height);
      context.clip();
      draw();
      context.restore();
    },
  };
}

/** Where values are numbers without a break: first place and the one behind the last. */
function* stretches(values: ArrayLike<number>): Generator<[number, number]> {
  let first = -1;
  for (let at = 0; at <= values.length; at++) {
    const isThere = at < values.length && !Number.isNaN(values[at]);
    if (isThere && first < 0) first = at;
    else if (!isThere && first >= 0) {
      yield [first, at];
      first = -1;
    }
  }
}

const escaped = (text: string) =>
  text.replace(
    /[&<>"]/g,
    (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign] ?? sign,
  );
const short = (value: number) => String(Math.round(value * 100) / 100);

/** A pen that writes SVG; `text()` is the whole document. */
export class SvgPen implements Pen {
  readonly #parts: string[] = [];
  #clips = 0;

  constructor(
    private readonly width: number,
    private readonly height: number,
  ) {}

  document(): string {
    const { width, height } = this;
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"` +
      ` font-family="${escaped(FONT)}">\n${this.#parts.join("\n")}\n</svg>\n`
    );
  }

  line(x: ArrayLike<number>, y: ArrayLike<number>, stroke: Stroke): void {
    const path: string[] = [];
    let isDown = false;
    for (let at = 0; at < x.length; at++) {
      if (Number.isNaN(y[at])) isDown = false;
      else {
        path.push(`${isDown ? "L" : "M"}${short(x[at] as number)} ${short(y[at] as number)}`);
        isDown = true;
      }
    }
    this.#path(path.join(""), stroke);
  }

  columns(
    x: ArrayLike<number>,
    from: ArrayLike<number>,
    to: ArrayLike<number>,
    width: number,
    stroke: Stroke,
  ): void {
    const path: string[] = [];
    for (let at = 0; at < x.length; at++) {
      const high = Math.min(from[at] as number, to[at] as number);
      const low = Math.max(from[at] as number, to[at] as number);
      if (!Number.isNaN(low))
        path.push(`M${short(x[at] as number)} ${short(high - 0.5)}V${short(low + 0.5)}`);
    }
    this.#path(path.join(""), { ...stroke, width, dash: [] });
  }

  band(
    x: ArrayLike<number>,
    low: ArrayLike<number>,
    high: ArrayLike<number>,
    colour: string,
    alpha: number,
  ): void {
    const path: string[] = [];
    for (const [first, end] of stretches(low)) {
      for (let at = first; at < end; at++)
        path.push(`${at === first ? "M" : "L"}${short(x[at] as number)} ${short(low[at] as number)}`);
      for (let at = end - 1; at >= first; at--)
        path.push(`L${short(x[at] as number)} ${short(high[at] as number)}`);
      path.push("Z");
    }
    this.#parts.push(`<path d="${path.join("")}" fill="${colour}" fill-opacity="${alpha}"/>`);
  }

  box(box: Box, colour: string, alpha = 1): void {
    this.#parts.push(
      `<rect x="${short(box.left)}" y="${short(box.top)}" width="${short(box.width)}" height="${short(box.height)}"` +
        ` fill="${colour}" fill-opacity="${alpha}"/>`,
    );
  }

  marker(kind: string, x: number, y: number, radius: number, colour: string, alpha = 1): void {
    const corners = CORNERS[kind];
    const look = `fill="${colour}" fill-opacity="${alpha}"`;
    if (kind === "cross")
      this.#path(
        `M${short(x - radius)} ${short(y - radius)}L${short(x + radius)} ${short(y + radius)}` +
          `M${short(x + radius)} ${short(y - radius)}L${short(x - radius)} ${short(y + radius)}`,
        { colour, width: Math.max(1.5, radius / 2), alpha },
      );
    else if (corners)
      this.#parts.push(
        `<polygon points="${corners.map(([dx, dy]) => `${short(x + dx * radius)},${short(y + dy * radius)}`).join(" ")}" ${look}/>`,
      );
    else this.#parts.push(`<circle cx="${short(x)}" cy="${short(y)}" r="${short(radius)}" ${look}/>`);
  }

  text(text: string, x: number, y: number, letters: Letters): void {
    const anchor = { left: "start", center: "middle", right: "end" }[letters.align];
    const line = { top: "text-before-edge", middle: "central", bottom: "text-after-edge" }[
      letters.baseline ?? "middle"
    ];
    const turn = letters.turn ? ` transform="rotate(${letters.turn} ${short(x)} ${short(y)})"` : "";
    this.#parts.push(
      `<text x="${short(x)}" y="${short(y)}" fill="${letters.colour}" font-size="${letters.size ?? 11}"` +
        `${letters.bold ? ' font-weight="600"' : ""} text-anchor="${anchor}" dominant-baseline="${line}"${turn}>${escaped(text)}</text>`,
    );
  }

  within(box: Box, draw: () => void): void {
    const id = `clip${this.#clips++}`;
    this.#parts.push(
      `<clipPath id="${id}"><rect x="${short(box.left)}" y="${short(box.top)}" width="${short(box.width)}" height="${short(box.height)}"/></clipPath>`,
      `<g clip-path="url(#${id})">`,
    );
    draw();
    this.#parts.push("</g>");
  }

  #path(path: string, stroke: Stroke): void {
    const dash = stroke.dash?.length ? ` stroke-dasharray="${stroke.dash.join(" ")}"` : "";
    this.#parts.push(
      `<path d="${path}" fill="none" stroke="${stroke.colour}" stroke-width="${stroke.width}"` +
        ` stroke-opacity="${stroke.alpha ?? 1}" stroke-linejoin="round"${dash}/>`,
    );
  }
}
