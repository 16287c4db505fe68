/** JSON as a tree whose branches are made when they are opened. */

import { useState } from "preact/hooks";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";

const PAGE = 100;
const OPEN_AT_FIRST = 30;
const LONGEST = 2000;

export function JsonTree({ value }: { value: unknown }) {
  return (
    <div class="json-tree mono">
      <Node name={undefined} value={value} depth={0} />
    </div>
  );
}

function Node({ name, value, depth }: { name: string | undefined; value: unknown; depth: number }) {
  const isBranch = typeof value === "object" && value !== null;
  const size = isBranch ? (Array.isArray(value) ? value.length : Object.keys(value).length) : 0;
  const [isOpen, setOpen] = useState(depth === 0 || (depth === 1 && size <= OPEN_AT_FIRST));
  const [shown, setShown] = useState(PAGE);
  const label = name !== undefined && <span class="token-key">{visibleLine(name)}: </span>;
  if (!isBranch || size === 0)
    return (
      <div class="leaf">
        {label}
        <Leaf value={value} />
      </div>
    );
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.slice(0, isOpen ? shown : 0).map((each, index) => [String(index), each])
    : isOpen
      ? Object.entries(value).slice(0, shown)
      : [];
  return (
    <div>
      <button type="button" class="plain twig" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span aria-hidden="true">{isOpen ? "▾" : "▸"} </span>
        {label}
        <span class="quiet">{Array.isArray(value) ? `[${count(size)}]` : `{${count(size)}}`}</span>
      </button>
      {isOpen && (
        <div class="branch">
          {entries.map(([key, each]) => (
            <Node key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {size > shown && (
            <button type="button" onClick={() => setShown(shown + 10 * PAGE)}>
              Show more of {count(size)}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === "string") {
    const text = value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
    return <span class="token-string">{JSON.stringify(visibleLine(text))}</span>;
  }
  if (typeof value === "number") return <span class="token-number">{String(value)}</span>;
  return <span class="token-word">{JSON.stringify(value)}</span>;
}
