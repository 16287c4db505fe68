/** A question over the page: opened at once, closed by Escape, the focus kept inside. */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly isWide?: boolean;
  readonly children: ComponentChildren;
}

export function Sheet({ title, onClose, isWide, children }: Props) {
  const id = useId();
  return (
    <dialog
      class={isWide ? "sheet wide" : "sheet"}
      aria-labelledby={id}
      onClose={onClose}
      ref={(element) => {
        if (element?.isConnected && !element.open) element.showModal();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface FormProps {
  /** What is done; its error is shown, and the sheet stays. */
  readonly onSubmit: (given: FormData) => Promise<void>;
  readonly onClose: () => void;
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly isReady?: boolean;
  readonly children: ComponentChildren;
}

export function SheetForm({ onSubmit, onClose, action, isDangerous, isReady = true, children }: FormProps) {
  const [refusal, setRefusal] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setRefusal("");
    try {
      await onSubmit(new FormData(event.currentTarget as HTMLFormElement));
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <form onSubmit={submit}>
      {children}
      <div role="alert" class="refusal">
        {refusal}
      </div>
      <div class="buttons">
        <button type="submit" class={isDangerous ? "dangerous" : undefined} disabled={isBusy || !isReady}>
          {action}
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}
