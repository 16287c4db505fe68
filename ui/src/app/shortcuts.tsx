/** Keys that do something on the page, and the list of them that `?` shows. */

import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { Dialog } from "./dialog";
import { go, pageUrl } from "./router";
import { undoLast } from "./toasts";

interface Shortcut {
  /** One key, or two after each other: "g e". */
  keys: string;
  what: string;
  run: (event: KeyboardEvent) => void;
}

const known = signal<Shortcut[]>([]);
const isListed = signal(false);
const SECOND_KEY_MS = 1200;

/** Have keys do something while a component is there. The latest of one name wins. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  // with what is drawn, so that a quick finger is not ahead of it
  useLayoutEffect(() => {
    known.value = [...known.peek(), ...shortcuts];
    return () => {
      known.value = known.peek().filter((each) => !shortcuts.includes(each));
    };
  }, [shortcuts]);
}

const everywhere: Shortcut[] = [
  { keys: "?", what: "show these keys", run: () => (isListed.value = !isListed.value) },
  { keys: "g h", what: "go to the home page", run: () => go(pageUrl([])) },
  { keys: "g e", what: "go to experiments", run: () => go(pageUrl(["experiments"])) },
  { keys: "g m", what: "go to models", run: () => go(pageUrl(["models"])) },
  { keys: "g s", what: "go to serving", run: () => go(pageUrl(["serving"])) },
];

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.("input, textarea, select, [contenteditable], dialog");
}

export function listenToKeys(): void {
  known.value = everywhere;
  let first = "";
  let at = 0;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isListed.value) {
      isListed.value = false;
      return;
    }
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !isTyping(event.target)) {
      if (undoLast()) event.preventDefault();
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))
      return;
    const pair = performance.now() - at < SECOND_KEY_MS ? `${first} ${event.key}` : event.key;
    const found =
      known.value.findLast((each) => each.keys === pair) ??
      known.value.findLast((each) => each.keys === event.key);
    first = event.key;
    at = performance.now();
    if (!found) return;
    event.preventDefault();
    found.run(event);
  });
}

export function ShortcutList() {
  if (!isListed.value) return null;
  const shown = new Map(known.value.map((each) => [each.keys, each.what]));
  return (
    <Dialog title="Keys" onClose={() => (isListed.value = false)}>
      <dl class="keys">
        {[...shown].map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Ctrl</kbd>
            <kbd>z</kbd>
          </dt>
          <dd>undo the last change</dd>
        </div>
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </Dialog>
  );
}
