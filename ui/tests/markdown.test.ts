import { describe, expect, it } from "vitest";
import { safeLink } from "../src/lib/safe_link";
import { type Block, inlinesOf, parseMarkdown } from "../src/markdown/parse";

const kinds = (text: string) => parseMarkdown(text).map((block) => block.kind);
const BASE = "http://server/prefix/";

describe("blocks of Markdown", () => {
  it("tells them apart", () => {
    expect(
      kinds(
        "# One\n\ntext\nmore\n\n- a\n- b\n\n1. x\n2. y\n\n> said\n\n```py\ncode\n```\n\n    four\n\n---\n\n|a|b|\n|-|-|\n|1|2|",
      ),
    ).toEqual(["heading", "paragraph", "list", "list", "quote", "code", "code", "rule", "table"]);
  });

  it("underlines make headings", () => {
    expect(parseMarkdown("One\n===\n\nTwo\n---")).toMatchObject([
      { kind: "heading", level: 1 },
      { kind: "heading", level: 2 },
    ]);
  });

  it("nests lists and keeps tasks", () => {
    const [list] = parseMarkdown("- [x] done\n- [ ] open\n  - inner\n    text") as [Block & { kind: "list" }];
    expect(list.items.map((item) => item.checked)).toEqual([true, false]);
    expect(list.items[1]?.blocks.map((block) => block.kind)).toEqual(["paragraph", "list"]);
  });

  it("starts ordered lists where they say", () => {
    expect(parseMarkdown("7. seven\n8. eight")).toMatchObject([{ kind: "list", start: 7 }]);
  });

  it("aligns tables and fills short rows", () => {
    const [table] = parseMarkdown("|a|b \\| c|\n|:-:|--:|\n|1|") as [Block & { kind: "table" }];
    expect(table.align).toEqual(["center", "right"]);
    expect(table.head[1]).toEqual([{ kind: "text", text: "b | c" }]);
    expect(table.rows).toEqual([[[{ kind: "text", text: "1" }], []]]);
  });

  it("ends a fence only by its own mark", () => {
    expect(parseMarkdown("~~~\n```\nx\n~~~\nafter")).toMatchObject([
      { kind: "code", text: "```\nx" },
      { kind: "paragraph" },
    ]);
  });
});

describe("what is in a line of Markdown", () => {
  it.each([
    [
      "**a *b* c**",
      [
        {
          kind: "strong",
          children: [
            { kind: "text", text: "a " },
            { kind: "em", children: [{ kind: "text", text: "b" }] },
            { kind: "text", text: " c" },
          ],
        },
      ],
    ],
    ["snake_case_name", [{ kind: "text", text: "snake_case_name" }]],
    ["2 * 3 * 4", [{ kind: "text", text: "2 * 3 * 4" }]],
    ["``a`b``", [{ kind: "code", text: "a`b" }]],
    ["\\*no\\*", [{ kind: "text", text: "*no*" }]],
    ["<b>x</b>", [{ kind: "text", text: "<b>x</b>" }]],
    ["~~gone~~", [{ kind: "strike", children: [{ kind: "text", text: "gone" }] }]],
    ["a  \nb", [{ kind: "text", text: "a" }, { kind: "break" }, { kind: "text", text: "b" }]],
    [`@run:${"a1".repeat(16)}`, [{ kind: "run", id: "a1".repeat(16) }]],
    [
      "see @model:my-model.",
      [
        { kind: "text", text: "see " },
        { kind: "model", name: "my-model" },
        { kind: "text", text: "." },
      ],
    ],
    ["me@model:x", [{ kind: "text", text: "me@model:x" }]],
  ])("%s", (text, found) => {
    expect(inlinesOf(text)).toEqual(found);
  });

  it("finds links with titles, brackets and parentheses", () => {
    expect(
      inlinesOf('[a [b] c](http://x/(y) "title") and ![alt](i.png) <https://z>, https://w/q?a=1.'),
    ).toMatchObject([
      { kind: "link", href: "http://x/(y)" },
      { kind: "text" },
      { kind: "image", href: "i.png", alt: "alt" },
      { kind: "text" },
      { kind: "link", href: "https://z" },
      { kind: "text" },
      { kind: "link", href: "https://w/q?a=1" },
      { kind: "text", text: "." },
    ]);
  });

  it.each([
    "[",
    "*a ",
    "**",
    "`",
    "~~a",
    "![",
    "[a](",
    "<",
    "> ",
    "- ",
    "_a ",
    "@run:",
    "|a\n|-",
    "[a](((((",
    "    - ",
  ])("is quick whatever is repeated: %s", (part) => {
    const began = performance.now();
    parseMarkdown(part.repeat(20_000));
    parseMarkdown(`${part.repeat(2000)}\n`.repeat(20));
    expect(performance.now() - began).toBeLessThan(1500);
  });

  it("takes any nesting", () => {
    expect(() =>
      parseMarkdown(`${"> ".repeat(5000)}x\n${"- ".repeat(5000)}y\n${"[".repeat(5000)}z`),
    ).not.toThrow();
  });
});

describe("links", () => {
  it.each(["https://a/b", "http://a", "mailto:a@b.c", "experiments/1", "#part", "?a=1", "../x"])(
    "%s is one",
    (text) => {
      expect(safeLink(text, BASE)).toBeDefined();
    },
  );

  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "java\tscript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "blob:http://server/x",
    "file:///etc/passwd",
    "//evil.example/x",
    "\\\\evil.example\\x",
    "/\\evil.example",
    "https://user:pass@evil.example",
    "https://safe.example\u3000@evil.example",
    "",
  ])("%s is none", (text) => {
    expect(safeLink(text, BASE)).toBeUndefined();
  });

  it("tells those that lead away", () => {
    expect(safeLink("x", BASE)).toEqual({ href: "http://server/prefix/x", isForeign: false });
    expect(safeLink("https://x", BASE)?.isForeign).toBe(true);
  });
});

describe("a text made to be slow", () => {
  it.each([
    ["spaces before a backtick", `\`\`\`${" ".repeat(190_000)}\``],
    ["tildes before a backtick", `${"~".repeat(190_000)}\``],
    ["spaces within a heading", `# a${" ".repeat(190_000)}b`],
    ["hashes within a heading", `# a ${"# ".repeat(90_000)}b`],
    ["many fences", "```\n```\n".repeat(25_000)],
  ])("is not: %s", (_, text) => {
    const began = performance.now();
    parseMarkdown(text);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it("leaves headings and fences as they were", () => {
    expect(parseMarkdown("## One ##  ")).toMatchObject([{ children: [{ text: "One" }] }]);
    expect(parseMarkdown("# C#")).toMatchObject([{ children: [{ text: "C#" }] }]);
    expect(parseMarkdown("# #")).toMatchObject([{ level: 1, children: [] }]);
    expect(parseMarkdown("~~~~ py x\n~~~\na\n~~~~\nb")).toMatchObject([
      { kind: "code", language: "py", text: "~~~\na" },
      { kind: "paragraph" },
    ]);
  });
});
