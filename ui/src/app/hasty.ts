/**
 * The second click of a double click is for what the first one was on. What was deleted, closed or opened by the first
 * has given its place to something else: nobody means that.
 */

const PRESSED = "button, a[href], input, summary, [role=option], [role^=menuitem]";

interface Target {
  readonly element: Element | null;
  /** Rows of a table use the same elements for other rows. */
  readonly row: string | undefined;
}

function targetOf(event: Event): Target {
  const at = event.target as Element | null;
  return {
    element: at?.closest?.(PRESSED) ?? null,
    row: at?.closest?.<HTMLElement>("[data-key]")?.dataset.key,
  };
}

export function ignoreStrayClicks(): void {
  let first: Target | undefined;
  document.addEventListener(
    "click",
    (event) => {
      if (event.detail === 0) return; // by a key, or a program
      const target = targetOf(event);
      if (event.detail === 1 || !first) {
        first = target;
        return;
      }
      // what the first click has put under the pointer
      const isOther = target.element !== first.element || target.row !== first.row;
      if (!target.element || !isOther) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
}
