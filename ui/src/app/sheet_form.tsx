/** The form of a question over the page: what went wrong is said in it, and it stays. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { tellFailure } from "./toasts";

interface FormProps {
  /**
   * What is done; its error is shown, and the sheet stays. `isOpen` tells whether who asked still waits before it: who
   * has gone on meanwhile must not be taken elsewhere.
   */
  readonly onSubmit: (given: FormData, isOpen: () => boolean) => Promise<void>;
  readonly onClose: () => void;
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly isReady?: boolean;
  /** Have Enter do it at once: the key that opened the question, and this one, are all that is needed. */
  readonly isEager?: boolean;
  /** Further buttons; one that submits is in `given` by its name. */
  readonly more?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function SheetForm({
  onSubmit,
  onClose,
  action,
  isDangerous,
  isReady = true,
  isEager,
  more,
  children,
}: FormProps) {
  const [refusal, setRefusal] = useState("");
  const [isBusy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const isOpen = useRef(true);
  useLayoutEffect(() => {
    if (isEager) button.current?.focus();
    return () => {
      isOpen.current = false;
    };
  }, []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setRefusal("");
    try {
      await onSubmit(
        new FormData(event.currentTarget as HTMLFormElement, event.submitter),
        () => isOpen.current,
      );
    } catch (error) {
      if (isOpen.current) setRefusal(error instanceof Error ? error.message : String(error));
      else tellFailure(error); // the sheet was closed, and what was asked of it is not done
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
        {more}
        <button type="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}
