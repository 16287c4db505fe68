/** A description in Markdown, changed in place with a preview. */

import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { tell, tellFailure } from "../app/toasts";
import { Markdown } from "../markdown/markdown";

interface Props {
  readonly text: string;
  readonly onSave: (text: string) => Promise<unknown>;
  readonly isEditing: boolean;
  readonly onEdit: (isEditing: boolean) => void;
}

export function Described({ text, onSave, isEditing, onEdit }: Props) {
  const id = useId();
  return (
    <section aria-labelledby={id} class="described">
      <div class="head-line">
        <h2 id={id}>Description</h2>
        {!isEditing && (
          <button type="button" class="plain" onClick={() => onEdit(true)}>
            {text ? "Edit" : "Write one"} <kbd>e</kbd>
          </button>
        )}
      </div>
      {isEditing ? (
        <Draft text={text} onSave={onSave} onClose={() => onEdit(false)} />
      ) : (
        text && <Markdown text={text} />
      )}
    </section>
  );
}

function Draft({ text, onSave, onClose }: { text: string; onSave: Props["onSave"]; onClose: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [draft, setDraft] = useState(text);
  const [isBusy, setBusy] = useState(false);
  useLayoutEffect(() => area.current?.focus(), []);
  const save = async () => {
    setBusy(true);
    try {
      await onSave(draft);
      tell("The description is saved.", { undo: () => void onSave(text).catch(tellFailure) });
      onClose();
    } catch (error) {
      tellFailure(error);
    }
    setBusy(false);
  };
  return (
    <form
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
      <div class="sides">
        <textarea
          ref={area}
          aria-label="Description in Markdown"
          rows={8}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
        <div class="draft-preview" role="region" aria-label="Preview" tabIndex={0}>
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
