/** A question or a sheet over the page: opened at once, closed by Escape, the focus kept inside and given back. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { focusContent } from "./focus";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  /** Further classes: "wide", "picker". */
  readonly kind?: string;
  readonly children: ComponentChildren;
}

export function Dialog({ title, onClose, kind = "", children }: Props) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement | null>(null);
  const isGone = useRef(false);
  useLayoutEffect(() => {
    const element = dialog.current;
    return () => {
      isGone.current = true;
      // one that is taken away while it is open gives the focus back to nobody
      element?.close();
      setTimeout(() => {
        if (document.activeElement === document.body) focusContent();
      });
    };
  }, []);
  return (
    <dialog
      ref={(element) => {
        dialog.current ??= element;
        // now, and not as an effect: what is in it may want the keys
        if (element?.isConnected && !element.open) element.showModal();
      }}
      class={`sheet ${kind}`.trim()}
      aria-labelledby={id}
      onClose={() => isGone.current || onClose()}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** What is done, and the way out: not every device has an Escape key. */
export function DialogButtons(props: { action: string; onClose: () => void }) {
  return (
    <div class="buttons">
      <button type="submit">{props.action}</button>
      <button type="button" onClick={props.onClose}>
        Cancel
      </button>
    </div>
  );
}
