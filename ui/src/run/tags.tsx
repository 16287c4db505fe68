/** The tags of a run that were captured, not set by people. */

import { setQuery } from "../app/router";
import { visibleLine } from "../lib/visible";
import { isOwnTag, type RunFacts } from "./run_data";

export function CapturedTags({ run }: { run: RunFacts }) {
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
