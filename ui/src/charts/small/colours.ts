/** From low to high in colours that are told apart without red and green, and on both grounds (after viridis). */

const STOPS: readonly (readonly [number, number, number])[] = [
  [72, 36, 117],
  [62, 74, 137],
  [49, 104, 142],
  [33, 145, 140],
  [53, 183, 121],
  [144, 215, 67],
  [226, 228, 40],
];

export function colourAt(part: number): string {
  if (Number.isNaN(part)) return "#8a8f98";
  const at = Math.min(1, Math.max(0, part)) * (STOPS.length - 1);
  const low = STOPS[Math.floor(at)] as readonly number[];
  const high = STOPS[Math.min(STOPS.length - 1, Math.floor(at) + 1)] as readonly number[];
  const mix = (index: number) =>
    Math.round((low[index] as number) + ((high[index] as number) - (low[index] as number)) * (at % 1));
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}
