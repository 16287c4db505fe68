/** A notebook to be read: nothing in it runs. */

import { useMemo } from "preact/hooks";
import { asItEnded } from "../formats/ansi";
import type { Notebook, NotebookCell, NotebookOutput } from "../formats/notebook";
import { Markdown } from "../markdown/markdown";
import { AnsiText } from "./ansi_text";
import { Code } from "./code";
import { JsonTree } from "./json_tree";
import { SealedFrame } from "./sealed_frame";

const MOST_CELLS = 500;
const MOST_HEIGHT = 600;

export function NotebookView({ notebook }: { notebook: Notebook }) {
  const cells = notebook.cells.slice(0, MOST_CELLS);
  return (
    <div class="notebook">
      {cells.length === 0 && <p class="quiet">The notebook has no cells.</p>}
      {cells.map((cell, index) => (
        <Cell key={index} cell={cell} language={notebook.language} />
      ))}
      {notebook.cells.length > cells.length && (
        <p class="quiet">{notebook.cells.length - cells.length} more cells are in the file.</p>
      )}
    </div>
  );
}

function Cell({ cell, language }: { cell: NotebookCell; language: string }) {
  if (cell.kind === "markdown") return <Markdown text={cell.source} />;
  if (cell.kind === "raw") return <pre class="wraps">{cell.source}</pre>;
  return (
    <div class="notebook-cell">
      <span class="count quiet mono" aria-hidden="true">
        [{cell.count ?? " "}]
      </span>
      <div>
        <Code text={cell.source} language={language} label={`Cell ${cell.count ?? ""}`.trim()} />
        {cell.outputs.map((output, index) => (
          <Output key={index} output={output} />
        ))}
      </div>
    </div>
  );
}

function Output({ output }: { output: NotebookOutput }) {
  switch (output.kind) {
    case "image": {
      const content =
        output.type === "image/svg+xml"
          ? `data:image/svg+xml,${encodeURIComponent(output.text)}`
          : `data:${output.type};base64,${output.text}`;
      return <img class="output-image" src={content} alt="Output" />;
    }
    case "html":
      return <SealedFrame html={output.text} title="Output" mostHeight={MOST_HEIGHT} />;
    case "markdown":
      return <Markdown text={output.text} />;
    case "json":
      return <JsonOutput text={output.text} />;
    default:
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <pre class={`output ${output.kind}`} tabIndex={0} role="group" aria-label="Output">
          <AnsiText text={asItEnded(output.text)} />
        </pre>
      );
  }
}

function JsonOutput({ text }: { text: string }) {
  const value = useMemo(() => JSON.parse(text) as unknown, [text]);
  return <JsonTree value={value} />;
}
