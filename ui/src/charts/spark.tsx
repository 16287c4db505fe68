/** A curve in a table's cell: its form, not its values. NaN breaks it; a single value is a dot. */

import { useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  readonly values: ArrayLike<number>;
  readonly width?: number;
  readonly height?: number;
  /** Any colour of the sheet; the text's by default. */
  readonly colour?: string;
}

/** Named for nobody: the number beside it says what a screen reader needs. */
export function Spark({ values, width = 40, height = 18, colour }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    element.style.width = `${width}px`;
    element.style.height = `${height}px`;
    context.scale(ratio, ratio);
    const ink = colour ?? getComputedStyle(element).color;
    context.strokeStyle = ink;
    context.fillStyle = ink;
    drawSpark(context, values, width, height);
  }, [values, width, height, colour]);
  return (
    <span class="spark" aria-hidden="true">
      <canvas ref={canvas} />
    </span>
  );
}

function drawSpark(
  context: CanvasRenderingContext2D,
  values: ArrayLike<number>,
  width: number,
  height: number,
): void {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return;
  const edge = 2;
  const toX = (at: number) => edge + (at / Math.max(1, values.length - 1)) * (width - 2 * edge);
  const toY = (value: number) =>
    high === low ? height / 2 : height - edge - ((value - low) / (high - low)) * (height - 2 * edge);
  context.lineWidth = 1.2;
  context.lineJoin = "round";
  context.beginPath();
  let isDown = false;
  let last: [number, number] | undefined;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (!Number.isFinite(value)) {
      isDown = false;
      continue;
    }
    last = [toX(at), toY(value)];
    if (isDown) context.lineTo(...last);
    else context.moveTo(...last);
    isDown = true;
  }
  context.stroke();
  if (!last) return;
  context.beginPath();
  context.arc(last[0], last[1], 1.6, 0, 2 * Math.PI);
  context.fill();
}
