/** A program's text, with its parts in colours and numbered lines. */

import { useMemo } from "preact/hooks";
import { CopyButton } from "../app/copy";
import { highlight } from "../formats/highlight";
import { visible } from "../lib/visible";

/** Beyond, colours cost more than they help. */
const LONGEST_COLOURED = 120_000;

interface Props {
  readonly text: string;
  readonly language: string;
  readonly label: string;
  readonly isNumbered?: boolean;
  readonly wraps?: boolean;
}

export function Code({ text: given, language, label, isNumbered, wraps }: Props) {
  const text = useMemo(() => visible(given), [given]);
  const tokens = useMemo(
    () => highlight(text, text.length > LONGEST_COLOURED ? "" : language),
    [text, language],
  );
  const numbers = useMemo(() => {
    if (!isNumbered || wraps) return "";
    const count = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    return Array.from({ length: count }, (_, index) => index + 1).join("\n");
  }, [text, isNumbered, wraps]);
  return (
    <div class="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class={`code${wraps ? " wraps" : ""}`} tabIndex={0} role="group" aria-label={label}>
        {numbers && (
          <pre class="line-numbers" aria-hidden="true">
            {numbers}
          </pre>
        )}
        <pre>
          {tokens.map((token, index) =>
            token.kind ? (
              <span key={index} class={`token-${token.kind}`}>
                {token.text}
              </span>
            ) : (
              token.text
            ),
          )}
        </pre>
      </div>
      <CopyButton text={given} label={`Copy: ${label}`} />
    </div>
  );
}
