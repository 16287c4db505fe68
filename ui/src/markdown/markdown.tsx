/** Markdown as elements. Nothing of it ever becomes HTML text: a tag in it is shown as it was written. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { pageUrl } from "../app/router";
import { Code } from "../artifacts/code";
import { safeLink } from "../lib/safe_link";
import { type Block, type Inline, parseMarkdown } from "./parse";

const LONGEST = 200_000;

interface Props {
  readonly text: string;
  /** Headings begin one below this level, so that the page's outline stays whole. */
  readonly below?: number;
}

export function Markdown({ text, below = 2 }: Props) {
  const blocks = useMemo(() => parseMarkdown(text.slice(0, LONGEST)), [text]);
  return (
    <div class="markdown">
      {blocks.map((block, index) => (
        <BlockView key={index} block={block} below={below} />
      ))}
      {text.length > LONGEST && <p class="quiet">The rest is too long to be shown here.</p>}
    </div>
  );
}

function BlockView({ block, below }: { block: Block; below: number }) {
  const all = (blocks: readonly Block[]) =>
    blocks.map((each, index) => <BlockView key={index} block={each} below={below} />);
  switch (block.kind) {
    case "heading": {
      const Tag = `h${Math.min(6, block.level + below)}` as "h3";
      return <Tag class={`level-${block.level}`}>{inlines(block.children)}</Tag>;
    }
    case "paragraph":
      return <p>{inlines(block.children)}</p>;
    case "code":
      return <Code text={block.text} language={block.language} label="Code" />;
    case "quote":
      return <blockquote>{all(block.blocks)}</blockquote>;
    case "list": {
      const items = block.items.map((item, index) => (
        <li key={index} class={item.checked === undefined ? undefined : "task"}>
          {item.checked !== undefined && (
            <span role="img" aria-label={item.checked ? "done" : "to do"}>
              {item.checked ? "☑" : "☐"}
            </span>
          )}
          {item.blocks.length === 1 && item.blocks[0]?.kind === "paragraph"
            ? inlines(item.blocks[0].children)
            : all(item.blocks)}
        </li>
      ));
      return block.start === undefined ? <ul>{items}</ul> : <ol start={block.start}>{items}</ol>;
    }
    case "table":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <div class="scrolls" tabIndex={0} role="group" aria-label="Table">
          <table class="lined">
            <thead>
              <tr>
                {block.head.map((cell, index) => (
                  <th key={index} scope="col" class={block.align[index]}>
                    {inlines(cell)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, at) => (
                <tr key={at}>
                  {row.map((cell, index) => (
                    <td key={index} class={block.align[index]}>
                      {inlines(cell)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    case "rule":
      return <hr />;
  }
}

function inlines(found: readonly Inline[]): ComponentChildren {
  return found.map((each, index) => <InlineView key={index} inline={each} />);
}

function InlineView({ inline }: { inline: Inline }) {
  switch (inline.kind) {
    case "text":
      return <>{inline.text}</>;
    case "code":
      return <code>{inline.text}</code>;
    case "strong":
      return <strong>{inlines(inline.children)}</strong>;
    case "em":
      return <em>{inlines(inline.children)}</em>;
    case "strike":
      return <s>{inlines(inline.children)}</s>;
    case "break":
      return <br />;
    case "run":
      return <a href={pageUrl(["runs", inline.id])}>{`run ${inline.id.slice(0, 8)}`}</a>;
    case "model":
      return <a href={pageUrl(["models", inline.name])}>{inline.name}</a>;
    case "link":
      return <Link href={inline.href}>{inlines(inline.children)}</Link>;
    case "image":
      // Loading it would tell its server who reads this; what runs log is shown among their files.
      return (
        <Link href={inline.href}>
          {inline.alt || "image"}
          <span class="quiet"> (image)</span>
        </Link>
      );
  }
}

/** A link if it is only that; else its text. */
export function Link({ href, children }: { href: string; children: ComponentChildren }) {
  const link = safeLink(href);
  if (!link) return <span title={href}>{children}</span>;
  if (!link.isForeign) return <a href={link.href}>{children}</a>;
  return (
    <a href={link.href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
