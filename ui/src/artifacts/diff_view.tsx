/** A patch, file by file, with what came and what went in colours and signs. */

import { useMemo, useState } from "preact/hooks";
import { type DiffFile, parseDiff } from "../formats/diff";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";

const MOST_LINES = 2000;
const SIGN = { added: "+", removed: "−", same: "", place: "", note: "" } as const;

export function DiffView({ text }: { text: string }) {
  const files = useMemo(() => parseDiff(text), [text]);
  if (files.length === 0) return <p class="quiet">The patch is empty.</p>;
  return (
    <div class="diff">
      <p class="quiet">
        {count(files.length)} {files.length === 1 ? "file" : "files"} changed,{" "}
        <span class="good">+{count(files.reduce((sum, file) => sum + file.added, 0))}</span>{" "}
        <span class="bad">−{count(files.reduce((sum, file) => sum + file.removed, 0))}</span>
      </p>
      {files.map((file, index) => (
        <DiffFileView key={index} file={file} />
      ))}
    </div>
  );
}

function DiffFileView({ file }: { file: DiffFile }) {
  const [most, setMost] = useState(MOST_LINES);
  return (
    <details open={file.lines.length < 400}>
      <summary class="mono">
        {visibleLine(file.name) || "changes"} <span class="good">+{count(file.added)}</span>{" "}
        <span class="bad">−{count(file.removed)}</span>
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="scrolls" tabIndex={0} role="group" aria-label={`Changes of ${visibleLine(file.name)}`}>
        <table class="diff-lines">
          <tbody>
            {file.lines.slice(0, most).map((line, index) => (
              <tr key={index} class={line.kind}>
                <td class="at">{line.before}</td>
                <td class="at">{line.after}</td>
                <td class="sign">{SIGN[line.kind]}</td>
                <td class="text">{visibleLine(line.text) || " "}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {file.lines.length > most && (
        <button type="button" onClick={() => setMost(most * 5)}>
          Show more of {count(file.lines.length)} lines
        </button>
      )}
    </details>
  );
}
