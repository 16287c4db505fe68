/** A small chart on the page: drawn to its size, in the theme's colours, with what is pointed at in words. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { litRun } from "../../runs/lit";
import { save } from "../export";
import { inks } from "../inks";
import { sized } from "../line_chart";
import { canvasPen, SvgPen } from "../pen";
import type { Canvas, Hit } from "./paint";

interface Props {
  readonly title: string;
  /** What a screen reader is told in place of the picture. */
  readonly summary: string;
  readonly height: number;
  readonly draw: (canvas: Canvas) => Hit[];
}

const NEAR = 24;

export function Drawing({ title, summary, height, draw }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const hits = useRef<Hit[]>([]);
  const [width, setWidth] = useState(0);
  const [said, setSaid] = useState("");
  const lit = litRun.value;
  const ink = inks();
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const size = new ResizeObserver(() => setWidth(element.clientWidth));
    size.observe(element);
    setWidth(element.clientWidth);
    return () => size.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (width < 40) return;
    const context = sized(canvas.current, { width, height });
    if (context) hits.current = draw({ pen: canvasPen(context), width, height, inks: ink, lit });
  }, [width, height, draw, lit, ink]);
  const onPointerMove = (event: PointerEvent) => {
    const rect = canvas.current?.getBoundingClientRect();
    if (!rect) return;
    const x = event.clientX - rect.left;
    const y = event.clientY - rect.top;
    let best: Hit | undefined;
    let far = NEAR;
    for (const hit of hits.current) {
      const distance = Math.hypot(hit.x - x, hit.y - y);
      if (distance < far) [best, far] = [hit, distance];
    }
    setSaid(best?.text ?? "");
    litRun.value = best?.run || undefined;
  };
  const onPointerLeave = () => {
    setSaid("");
    litRun.value = undefined;
  };
  return (
    <figure class="drawing" aria-label={title}>
      <figcaption>
        <strong>{title}</strong>
        <output class="quiet">{said}</output>
        <button
          type="button"
          class="plain"
          aria-label={`Save ${title} as SVG`}
          onClick={() => {
            const pen = new SvgPen(width, height);
            draw({ pen, width, height, inks: ink, lit: undefined });
            save(new Blob([pen.document()], { type: "image/svg+xml" }), `${title}.svg`);
          }}
        >
          SVG
        </button>
      </figcaption>
      <div ref={frame} class="surface" role="img" aria-label={summary} style={{ height: `${height}px` }}>
        <canvas ref={canvas} onPointerMove={onPointerMove} onPointerLeave={onPointerLeave} />
      </div>
    </figure>
  );
}
