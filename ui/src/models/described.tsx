/** A description in Markdown, changed in place with a preview. */

import { useId } from "preact/hooks";
import { Draft } from "../markdown/draft";
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
        <Draft
          text={text}
          saved="The description is saved."
          label="Description in Markdown"
          rows={8}
          onSave={onSave}
          onClose={() => onEdit(false)}
        />
      ) : (
        text && <Markdown text={text} />
      )}
    </section>
  );
}
