/** Tags of a run, a model or a version, changed in place. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { visibleLine } from "../lib/visible";
import { tell, tellFailure } from "./toasts";

interface Props {
  /** Those that people set; what programs keep in tags is shown elsewhere. */
  readonly tags: readonly (readonly [string, string])[];
  /** Set a tag, or remove it without a value; afterwards `tags` are the new ones. */
  readonly put: (key: string, value: string | undefined) => Promise<unknown>;
}

const SHOWN = 12;

export function TagList({ tags, put }: Props) {
  /** The name of the tag that is being changed; "" for a new one. */
  const [edited, setEdited] = useState<string>();
  const [isAll, setAll] = useState(false);
  const own = tags.toSorted(([a], [b]) => a.localeCompare(b));
  // what is being changed stays, though somebody else may remove it meanwhile
  if (edited && !own.some(([key]) => key === edited)) own.unshift([edited, ""]);
  /** Tells whether it is done. */
  const change = async (key: string, value: string | undefined): Promise<boolean> => {
    const before = tags.find(([name]) => name === key)?.[1];
    try {
      await put(key, value);
      tell(`Tag ${visibleLine(key)} is ${value === undefined ? "removed" : "set"}.`, {
        undo: () => void put(key, before).catch(tellFailure),
      });
      return true;
    } catch (error) {
      tellFailure(error);
      return false;
    }
  };
  return (
    <div class="tags" role="group" aria-label="Tags">
      {own.slice(0, isAll ? own.length : SHOWN).map(([key, value]) =>
        edited === key ? (
          <TagForm key={key} name={key} value={value} onSave={change} onClose={() => setEdited(undefined)} />
        ) : (
          <span key={key} class="tag">
            <button
              type="button"
              class="plain"
              title={`${visibleLine(key)}: ${visibleLine(value)}`}
              aria-label={`Change tag ${visibleLine(key)}: ${visibleLine(value)}`}
              onClick={() => setEdited(key)}
            >
              <span class="quiet">{visibleLine(key)}</span> {visibleLine(value)}
            </button>
            <button
              type="button"
              class="plain"
              aria-label={`Remove tag ${visibleLine(key)}`}
              onClick={() => void change(key, undefined)}
            >
              ×
            </button>
          </span>
        ),
      )}
      {own.length > SHOWN && !isAll && (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {own.length - SHOWN} more
        </button>
      )}
      {edited === "" ? (
        <TagForm name="" value="" onSave={change} onClose={() => setEdited(undefined)} />
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
  readonly onSave: (name: string, value: string) => Promise<boolean>;
  readonly onClose: () => void;
}

function TagForm({ name, value, onSave, onClose }: FormProps) {
  const isBusy = useRef(false);
  const isOpen = useRef(true);
  useLayoutEffect(
    () => () => {
      isOpen.current = false;
    },
    [],
  );
  const save = async (given: FormData) => {
    if (isBusy.current) return; // Enter pressed twice
    const key = name || String(given.get("key")).trim();
    isBusy.current = true;
    // what could not be kept stays to be sent again; another form that was opened meanwhile stays, too
    const isDone = !key || (await onSave(key, String(given.get("value"))));
    if (isDone && isOpen.current) onClose();
    isBusy.current = false;
  };
  return (
    <form
      class="tag-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save(new FormData(event.currentTarget));
      }}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      {name ? (
        <span class="quiet">{visibleLine(name)}</span>
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
