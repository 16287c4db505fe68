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
  // added up apart from the start, beside which small steps would be lost where it is beyond 2⁵³
  let from = 0;
  for (let index = 0; index < found.length; index++) {
    found[index] = start + from;
    from += step * (deltas ? (deltas[index] ?? 0) : 1);
  }
  return found;
}

/** The largest double that a 64-bit integer holds: what lies further out is no place along x. */
const MOST = 2 ** 63 - 1024;

export const wireInteger = (value: number) => Math.max(-(2 ** 63), Math.min(MOST, value));
