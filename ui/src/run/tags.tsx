/** The tags that people set on a run, to be changed in place. */

import { useState } from "preact/hooks";
import { setQuery } from "../app/router";
import { tell, tellFailure } from "../app/toasts";
import { visibleLine } from "../lib/visible";
import { deleteTag, isOwnTag, type RunFacts, setTag } from "./run_data";

const SHOWN = 12;

export function TagList({ run, onChange }: { run: RunFacts; onChange: () => void }) {
  /** The name of the tag that is being changed; "" for a new one. */
  const [edited, setEdited] = useState<string>();
  const [isAll, setAll] = useState(false);
  const own = [...run.tags].filter(([key]) => isOwnTag(key)).sort(([a], [b]) => a.localeCompare(b));
  const change = async (key: string, value: string | undefined) => {
    const before = run.tags.get(key);
    const put = (to: string | undefined) =>
      (to === undefined ? deleteTag(run.id, key) : setTag(run.id, key, to)).then(onChange, tellFailure);
    await put(value);
    const what = value === undefined ? "removed" : "set";
    tell(`Tag ${visibleLine(key)} is ${what}.`, { undo: () => void put(before) });
  };
  return (
    <div class="tags" role="group" aria-label="Tags">
      {own.slice(0, isAll ? own.length : SHOWN).map(([key, value]) =>
        edited === key ? (
          <TagForm
            key={key}
            name={key}
            value={value}
            onSave={(_, to) => change(key, to)}
            onClose={() => setEdited(undefined)}
          />
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
              onClick={() => change(key, undefined)}
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
  readonly onSave: (name: string, value: string) => unknown;
  readonly onClose: () => void;
}

function TagForm({ name, value, onSave, onClose }: FormProps) {
  return (
    <form
      class="tag-form"
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

/** All tags, those that were captured too. */
export function AllTags({ run }: { run: RunFacts }) {
  const hidden = [...run.tags].filter(([key]) => !isOwnTag(key) && key !== "mlflow.note.content");
  if (hidden.length === 0) return null;
  const isOpen = new URL(location.href).searchParams.get("captured") === "1";
  return (
    <details
      open={isOpen}
      onToggle={(event) => setQuery({ captured: event.currentTarget.open ? "1" : null })}
    >
      <summary>Captured tags ({hidden.length})</summary>
      <dl class="facts">
        {hidden.map(([key, value]) => (
          <div key={key}>
            <dt class="mono">{visibleLine(key)}</dt>
            <dd class="mono">{visibleLine(value.slice(0, 5000))}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
