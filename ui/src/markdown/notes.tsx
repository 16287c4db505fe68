/** Notes in Markdown, changed in place with a preview. */

import { useEffect, useRef, useState } from "preact/hooks";
import { tell, tellFailure } from "../app/toasts";
import { Markdown } from "./markdown";

interface Props {
  readonly text: string;
  /** Keep it; an empty text means none. */
  readonly onSave: (text: string) => Promise<void>;
  /** Set from outside to begin editing. */
  readonly isEditing: boolean;
  readonly onEdit: (isEditing: boolean) => void;
}

export function Notes({ text, onSave, isEditing, onEdit }: Props) {
  return (
    <section aria-labelledby="notes-title" class="notes">
      <div class="values-head">
        <h2 id="notes-title">Notes</h2>
        <span class="stretch" />
        {!isEditing && (
          <button type="button" onClick={() => onEdit(true)}>
            {text ? "Edit" : "Write"}
          </button>
        )}
      </div>
      {isEditing ? (
        <NotesForm text={text} onSave={onSave} onClose={() => onEdit(false)} />
      ) : text ? (
        <Markdown text={text} />
      ) : (
        <p class="quiet">No notes yet. They are Markdown; @run:ID and @model:NAME become links.</p>
      )}
    </section>
  );
}

function NotesForm({
  text,
  onSave,
  onClose,
}: {
  text: string;
  onSave: Props["onSave"];
  onClose: () => void;
}) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [draft, setDraft] = useState(text);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => area.current?.focus(), []);
  const save = async () => {
    setBusy(true);
    try {
      await onSave(draft);
      tell("The notes are saved.", { undo: () => void onSave(text).catch(tellFailure) });
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
        } else if (event.key === "Escape" && draft === text) onClose();
      }}
    >
      <div class="notes-sides">
        <textarea
          ref={area}
          aria-label="Notes in Markdown"
          rows={12}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
        <div class="notes-preview" role="region" aria-label="Preview" tabIndex={0}>
          {draft ? <Markdown text={draft} /> : <p class="quiet">Nothing to show yet.</p>}
        </div>
      </div>
      <div class="buttons">
        <button type="submit" disabled={isBusy}>
          Save
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
