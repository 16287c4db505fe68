/** Text to be copied: an id, a command, a few lines of Python. */

import { useState } from "preact/hooks";

import { copyText } from "./clipboard";
import { say } from "./say";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text))) return;
    setDone(true);
    say("Copied");
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="plain copy" onClick={copy} title={done ? "Copied" : label}>
      {done ? <span aria-hidden="true">✓</span> : <CopyIcon />}
    </button>
  );
}

/** Two sheets; drawn, since many fonts lack the sign. */
export function CopyIcon() {
  return (
    <svg class="copy-icon" viewBox="0 0 16 16" aria-hidden="true">
      <rect x="5.500" y="5.500" width="8" height="9" rx="1.500" />
      <path d="M10.500 3.500v-.5A1.500 1.500 0 0 0 9 1.500H4A1.500 1.500 0 0 0 2.500 3v7A1.500 1.500 0 0 0 4 11.500" />
    </svg>
  );
}

export function CopyBlock({ text, label }: { text: string; label: string }) {
  return (
    <div class="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}
