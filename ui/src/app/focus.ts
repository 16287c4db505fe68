/** Where the keys are when what had them is gone. */

/** Go to what the page is about: to its table, where there is one. */
export function focusContent(): void {
  const main = document.getElementById("main");
  (main?.querySelector<HTMLElement>(".grid") ?? main)?.focus({ preventScroll: true });
}
