/** What of a run's prints is held and drawn: the end, however long it prints. */

/** So much of the end is drawn, and of the last lines on another page. */
export const MOST = 400_000;
export const TAIL = 4_000;

export interface Printed {
  readonly text: string;
  /** Where the next part begins, in bytes of all that was printed. */
  readonly next: number;
  /** How much is before the text, that is not shown. */
  readonly before: number;
}

/** Only the end, from the beginning of a line. */
export function cut(printed: Printed, isTail: boolean): Printed {
  const most = isTail ? TAIL : MOST;
  if (printed.text.length <= most) return printed;
  const least = printed.text.length - most;
  // a bar of progress is drawn anew for hours without ending its line
  const from = printed.text.indexOf("\n", least) + 1 || printed.text.indexOf("\r", least) + 1 || least;
  return { ...printed, text: printed.text.slice(from), before: printed.before + from };
}
