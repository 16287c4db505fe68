/** Notes in Markdown, changed in place with a preview. */

import { Draft } from "./draft";
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
        <Draft
          text={text}
          saved="The notes are saved."
          label="Notes in Markdown"
          rows={12}
          onSave={onSave}
          onClose={() => onEdit(false)}
        />
      ) : text ? (
        <Markdown text={text} />
      ) : (
        <p class="quiet">No notes yet. They are Markdown; @run:ID and @model:NAME become links.</p>
      )}
    </section>
  );
}
