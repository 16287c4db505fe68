/** Text as a terminal would colour it. */

import { useMemo } from "preact/hooks";
import { parseAnsi } from "../formats/ansi";
import { visible } from "../lib/visible";

export function AnsiText({ text }: { text: string }) {
  const parts = useMemo(() => parseAnsi(text), [text]);
  return (
    <>
      {parts.map((part, index) =>
        part.kinds.length ? (
          <span key={index} class={part.kinds.map((kind) => `ansi-${kind}`).join(" ")}>
            {visible(part.text)}
          </span>
        ) : (
          visible(part.text)
        ),
      )}
    </>
  );
}
