/** Where the user is: the address bar is the only state of that. */

import { computed, signal } from "@preact/signals";
import { turnScrolled, writeScrolled } from "./scrolled";

const BASE = new URL(".", document.baseURI).pathname;

/** The address as it is now. */
export const url = signal(new URL(fromMlflow(location.href)));

/** The path below the server's prefix, without a slash at either end; its parts are still escaped. */
export const path = computed(() => url.value.pathname.slice(BASE.length).replace(/\/+$/, ""));

export const query = computed(() => url.value.searchParams);

/** Links that MLflow prints keep their path behind a `#`. */
function fromMlflow(href: string): string {
  const there = new URL(href);
  if (!there.hash.startsWith("#/")) return href;
  return new URL(BASE + there.hash.replace(/^#\/+/, ""), there.origin).href;
}

if (url.value.href !== location.href) history.replaceState(null, "", url.value.href);

/** The address of a page; `segments` are escaped. */
export function pageUrl(segments: readonly string[], params: Record<string, string> = {}): string {
  const search = new URLSearchParams(params).toString();
  return BASE + segments.map(encodeURIComponent).join("/") + (search ? `?${search}` : "");
}

export function go(to: string, options: { replace?: boolean } = {}): void {
  const next = new URL(to, url.value);
  if (next.href === url.value.href) return;
  if (options.replace) history.replaceState(history.state, "", next.href);
  else {
    writeScrolled();
    history.pushState(null, "", next.href);
    turnScrolled();
  }
  const isOtherPage = next.pathname !== url.value.pathname;
  url.value = next;
  if (isOtherPage) window.scrollTo(0, 0);
}

/** Change the query, leaving the rest; `null` and "" take a name out. A change that Back should undo is not a replacement. */
export function setQuery(
  changes: Record<string, string | null>,
  options: { replace?: boolean } = { replace: true },
): void {
  const next = new URL(url.value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.searchParams.delete(name);
    else next.searchParams.set(name, value);
  }
  go(next.href, options);
}

/** Have links within the application change the page without loading it. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    if (
      event.defaultPrevented ||
      event.button ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element).closest?.("a[href]") as HTMLAnchorElement | null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(BASE) || link.hasAttribute("data-leave")) return;
    event.preventDefault();
    go(link.href);
  });
  window.addEventListener("popstate", () => {
    turnScrolled();
    url.value = new URL(location.href);
  });
  window.addEventListener("hashchange", () => {
    const next = fromMlflow(location.href);
    if (next !== location.href) go(next, { replace: true });
  });
}
