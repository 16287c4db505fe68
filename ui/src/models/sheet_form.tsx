/** The form of a question over the page: what went wrong is said in it, and it stays. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

interface FormProps {
  /** What is done; its error is shown, and the sheet stays. */
  readonly onSubmit: (given: FormData) => Promise<void>;
  readonly onClose: () => void;
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly isReady?: boolean;
  /** Have Enter do it at once: the key that opened the question, and this one, are all that is needed. */
  readonly isEager?: boolean;
  readonly children: ComponentChildren;
}

export function SheetForm({
  onSubmit,
  onClose,
  action,
  isDangerous,
  isReady = true,
  isEager,
  children,
}: FormProps) {
  const [refusal, setRefusal] = useState("");
  const [isBusy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (isEager) button.current?.focus();
  }, []);
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
        <button
          ref={button}
          type="submit"
          class={isDangerous ? "dangerous" : undefined}
          disabled={isBusy || !isReady}
        >
          {action}
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}
