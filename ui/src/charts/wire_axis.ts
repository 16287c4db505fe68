/** Places along x as the server sends them. */

/** Whole numbers: `count` of them from `start` on, or as many steps further each as `deltas` say. */
export interface WireAxis {
  start: number;
  step: number;
  count?: number | null;
  deltas?: number[] | null;
}

export function axisFrom({ start, step, count, deltas }: WireAxis): Float64Array {
  const found = new Float64Array(deltas ? deltas.length + 1 : (count ?? 0));
  let at = start;
  for (let index = 0; index < found.length; index++) {
    found[index] = at;
    at += step * (deltas ? (deltas[index] ?? 0) : 1);
  }
  return found;
}
