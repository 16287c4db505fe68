/** The colours of the sheet, for what is drawn on a canvas: the same variables, as the theme has them now. */

import { isDark } from "../app/theme";
import type { Inks } from "./draw";

const kept = new Map<boolean, Inks>();

/** Read it while drawing a component, so that it is drawn anew in another theme. */
export function inks(): Inks {
  const dark = isDark.value;
  const found = kept.get(dark) ?? {
    back: resolved("--back"),
    text: resolved("--text"),
    quiet: resolved("--quiet"),
    line: resolved("--line"),
    accent: resolved("--accent"),
  };
  kept.set(dark, found);
  return found;
}

/** A canvas does not know variables; an element that has one for its colour tells what it is. */
function resolved(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
