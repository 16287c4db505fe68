/**
 * How a run looks wherever it is drawn: a colour, and from the ninth run on also a dash and another marker.
 *
 * The colours are told apart by people who see fewer of them (after Okabe and Ito), each with 3:1 against its ground.
 */

export interface Mark {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly marker: Marker;
}

export const MARKERS = ["circle", "square", "triangle", "diamond", "cross"] as const;
export type Marker = (typeof MARKERS)[number];

const LIGHT = ["#0067b0", "#c24e00", "#00795a", "#b0488a", "#8a6d00", "#2487bd", "#5b5bd6", "#555b66"];
const DARK = ["#5aaef0", "#f08a3c", "#2fc497", "#e59ac8", "#e3c33b", "#8fd3f7", "#a3a1ff", "#c3c9d4"];
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 5]];

export const COLOURS = LIGHT.length;

export function markAt(slot: number, isDark: boolean): Mark {
  const round = Math.floor(slot / COLOURS);
  return {
    colour: (isDark ? DARK : LIGHT)[slot % COLOURS] as string,
    dash: DASHES[round % DASHES.length] as readonly number[],
    marker: MARKERS[round % MARKERS.length] as Marker,
  };
}

/** Runs keep the look that they first had on this page, so that a filter does not recolour them. */
const slots = new Map<string, number>();

export function slotOf(run: string): number {
  let slot = slots.get(run);
  if (slot === undefined) {
    slot = slots.size;
    slots.set(run, slot);
  }
  return slot;
}

export const markOf = (run: string, isDark: boolean) => markAt(slotOf(run), isDark);
