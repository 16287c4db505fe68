/** Copying, wherever the page came from. */

import { tell } from "./toasts";

/** Put text where Ctrl-V takes it from; says so if that did not work, and tells whether it did. */
export async function copyText(text: string): Promise<boolean> {
  // browsers have it on HTTPS and on this machine only
  if (navigator.clipboard)
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed; the older way may be
    }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden-text";
  // within an open dialog nothing outside of it can be selected
  const place = document.activeElement?.closest("dialog") ?? document.body;
  const before = document.activeElement as HTMLElement | null;
  place.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  if (!done)
    tell("The browser does not let this page copy. Select the text and press Ctrl-C.", { kind: "failed" });
  return done;
}
