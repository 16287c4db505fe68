/** A text in Markdown while it is changed, beside what it will look like. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { tell, tellFailure } from "../app/toasts";
import { Markdown } from "./markdown";

interface Props {
  readonly text: string;
  /** What is told when it is: "The notes are saved." */
  readonly saved: string;
  readonly label: string;
  readonly rows: number;
  readonly onSave: (text: string) => Promise<unknown>;
  readonly onClose: () => void;
}

export function Draft({ text, saved, label, rows, onSave, onClose }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [draft, setDraft] = useState(text);
  /** What was there when the writing began. */
  const [begun] = useState(text);
  const [isBusy, setBusy] = useState(false);
  const isOvertaken = text !== begun && text !== draft && !isBusy;
  useLayoutEffect(() => area.current?.focus(), []);
  const save = async () => {
    setBusy(true);
    try {
      await onSave(draft);
      tell(saved, { undo: () => void onSave(text).catch(tellFailure) });
      onClose();
    } catch (error) {
      tellFailure(error);
    }
    setBusy(false);
  };
  return (
    <form
      class="notes-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          void save();
        } else if (event.key === "Escape" && draft === begun) onClose();
      }}
    >
      <div class="notes-sides">
        <textarea
          ref={area}
          aria-label={label}
          rows={rows}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
        <div class="notes-preview" role="region" aria-label="Preview" tabIndex={0}>
          {draft ? <Markdown text={draft} /> : <p class="quiet">Nothing to show yet.</p>}
        </div>
      </div>
      {isOvertaken && (
        <div role="alert" class="notes-overtaken">
          <p>Somebody has changed this meanwhile: saving replaces what they wrote.</p>
          <pre>{text || "It is empty now."}</pre>
        </div>
      )}
      <div class="buttons">
        <button type="submit" disabled={isBusy}>
          {isOvertaken ? "Save mine all the same" : "Save"}
        </button>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <span class="quiet">
          <kbd>Ctrl</kbd>
          <kbd>Enter</kbd> saves
        </span>
      </div>
    </form>
  );
}
