/** Short messages at the edge of the page: what was done, how to undo it, what went wrong. */

import { signal } from "@preact/signals";
import { focusContent } from "./focus";

interface Toast {
  id: number;
  text: string;
  kind: "done" | "failed";
  undo?: () => void;
}

const SHOWN_MS = 8000;
const toasts = signal<Toast[]>([]);
let count = 0;

export function tell(text: string, options: { kind?: Toast["kind"]; undo?: () => void } = {}): void {
  const toast: Toast = { id: ++count, text, kind: options.kind ?? "done" };
  if (options.undo) toast.undo = options.undo;
  toasts.value = [...toasts.value.slice(-3), toast];
  if (toast.kind === "done") setTimeout(() => fade(toast.id), SHOWN_MS);
}

/** Drop it, but not while somebody is at it: who is slow must not lose the way to undo. */
function fade(id: number): void {
  if (document.querySelector(".toasts:is(:hover, :focus-within)")) setTimeout(() => fade(id), SHOWN_MS);
  else drop(id);
}

/** What is done by a button of a message takes the message away, and with it the place of the keys. */
function leave(id: number): void {
  drop(id);
  setTimeout(() => document.activeElement === document.body && focusContent());
}

export function tellFailure(error: unknown): void {
  tell(error instanceof Error ? error.message : String(error), { kind: "failed" });
}

function drop(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

/** Undo the last thing that can be; tells whether there was one. */
export function undoLast(): boolean {
  const last = toasts.value.findLast((each) => each.undo);
  if (!last) return false;
  drop(last.id);
  last.undo?.();
  return true;
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <span>{toast.text}</span>
          {toast.undo && (
            <button
              type="button"
              onClick={() => {
                leave(toast.id);
                toast.undo?.();
              }}
            >
              Undo
            </button>
          )}
          <button type="button" class="plain" aria-label="Close this message" onClick={() => leave(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
