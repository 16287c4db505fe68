/**
 * How far tables are scrolled, kept with each entry of the browser's history: Back and a reload lead to the rows that one
 * looked at, not to the first ones.
 */

type Place = readonly [top: number, left: number];
type Places = Readonly<Record<string, Place>>;

const SETTLE_MS = 200;

const kept = (): Places =>
  (globalThis.history?.state as { scrolled?: Places } | null | undefined)?.scrolled ?? {};

/** Of the entry that was come back to; each is gone to once. */
let wanted: Record<string, Place> = { ...kept() };
let now: Record<string, Place> = {};
let timer: ReturnType<typeof setTimeout> | undefined;

/** Note where a table is, once it rests. */
export function keepScrolled(name: string, top: number, left: number): void {
  now[name] = [top, left];
  clearTimeout(timer);
  timer = setTimeout(writeScrolled, SETTLE_MS);
}

/** Write it down before another entry is begun. */
export function writeScrolled(): void {
  clearTimeout(timer);
  if (Object.keys(now).length === 0) return;
  history.replaceState({ ...history.state, scrolled: { ...kept(), ...now } }, "");
  now = {};
}

/** Another entry is there: one that was come back to, or a new one. */
export function turnScrolled(): void {
  clearTimeout(timer);
  now = {};
  wanted = { ...kept() };
}

/** Where a table was when this entry was left; the beginning where nobody was here before. */
export function takeScrolled(name: string): Place {
  const place = wanted[name] ?? [0, 0];
  delete wanted[name];
  return place;
}
