/** The tags of a model or a version, changed in place; those that keep why something was moved are not shown as such. */

import { useState } from "preact/hooks";
import { tell, tellFailure } from "../app/toasts";
import { isMove } from "./moves";
import { putTag } from "./requests";

interface Props {
  readonly name: string;
  /** Of the version, if they are a version's. */
  readonly version?: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly onChange: () => void;
}

export function TagList({ name, version, tags, onChange }: Props) {
  /** The tag that is being changed; "" for a new one. */
  const [edited, setEdited] = useState<string>();
  const own = [...tags].filter(([key]) => !isMove(key)).sort(([a], [b]) => a.localeCompare(b));
  // what is being changed stays, though somebody else may remove it meanwhile
  if (edited && !tags.has(edited)) own.push([edited, ""]);
  const change = async (key: string, value: string | undefined) => {
    const before = tags.get(key);
    const put = async (to: string | undefined) => {
      await putTag(name, version, key, to);
      onChange();
    };
    try {
      await put(value);
      tell(`Tag ${key} is ${value === undefined ? "removed" : "set"}.`, {
        undo: () => void put(before).catch(tellFailure),
      });
    } catch (error) {
      tellFailure(error);
    }
  };
  return (
    <div class="tag-list" role="group" aria-label="Tags">
      {own.map(([key, value]) =>
        edited === key ? (
          <TagForm
            key={key}
            name={key}
            value={value}
            onSave={(_, to) => void change(key, to)}
            onClose={() => setEdited(undefined)}
          />
        ) : (
          <span key={key} class="model-tag">
            <button
              type="button"
              class="plain"
              title={`${key}: ${value}`}
              aria-label={`Change tag ${key}: ${value}`}
              onClick={() => setEdited(key)}
            >
              <span class="quiet">{key}</span> {value}
            </button>
            <button
              type="button"
              class="plain"
              aria-label={`Remove tag ${key}`}
              onClick={() => void change(key, undefined)}
            >
              ×
            </button>
          </span>
        ),
      )}
      {edited === "" ? (
        <TagForm
          name=""
          value=""
          onSave={(key, value) => void change(key, value)}
          onClose={() => setEdited(undefined)}
        />
      ) : (
        <button type="button" class="plain" onClick={() => setEdited("")}>
          + tag
        </button>
      )}
    </div>
  );
}

interface FormProps {
  readonly name: string;
  readonly value: string;
  readonly onSave: (name: string, value: string) => void;
  readonly onClose: () => void;
}

function TagForm({ name, value, onSave, onClose }: FormProps) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        const key = name || String(given.get("key")).trim();
        if (key) onSave(key, String(given.get("value")));
        onClose();
      }}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      {name ? (
        <span class="quiet">{name}</span>
      ) : (
        <input name="key" aria-label="Name of the tag" placeholder="name" required ref={focusOnce} />
      )}
      <input
        name="value"
        aria-label="Value of the tag"
        placeholder="value"
        defaultValue={value}
        ref={name ? focusOnce : null}
      />
      <button type="submit">Save</button>
      <button type="button" onClick={onClose}>
        Cancel
      </button>
    </form>
  );
}

function focusOnce(input: HTMLInputElement | null): void {
  if (!input || input.dataset.seen) return;
  input.dataset.seen = "1";
  input.focus();
}
