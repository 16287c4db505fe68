/**
 * Markdown as a tree: CommonMark's usual parts and GitHub's tables, task lists and strikes.
 *
 * HTML is text here. Time grows with the length of the text, whatever is in it: what is nested or long beyond reason stays plain.
 */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em" | "strike"; children: Inline[] }
  | { kind: "link"; href: string; children: Inline[] }
  | { kind: "image"; href: string; alt: string }
  | { kind: "run"; id: string }
  | { kind: "model"; name: string }
  | { kind: "break" };

export interface Item {
  /** Of a task list. */
  checked: boolean | undefined;
  blocks: Block[];
}

export type Align = "left" | "center" | "right" | undefined;

export type Block =
  | { kind: "heading"; level: number; children: Inline[] }
  | { kind: "paragraph"; children: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; start: number | undefined; items: Item[] }
  | { kind: "table"; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

const DEEPEST = 8;
const LONGEST_INLINE = 20_000;
const LIST = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( {1,4})(?! )|( +)|$)/;
const FENCE = /^ {0,3}(`{3,}(?!`)|~{3,}(?!~))([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;

export function parseMarkdown(text: string): Block[] {
  return blocksOf(text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n"), 0);
}

function blocksOf(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === "") {
      at++;
      continue;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      const mark = fence[1] as string;
      let stop = at + 1;
      while (stop < lines.length && !isEndOf(mark, (lines[stop] as string).trim())) stop++;
      blocks.push({
        kind: "code",
        language: (fence[2] ?? "").trim().split(/\s/)[0] ?? "",
        text: lines.slice(at + 1, stop).join("\n"),
      });
      at = stop + 1;
      continue;
    }
    if (line.startsWith("    ")) {
      const start = at;
      while (
        at < lines.length &&
        ((lines[at] as string).startsWith("    ") || (lines[at] as string).trim() === "")
      )
        at++;
      const text = lines.slice(start, at).map((each) => each.slice(4));
      blocks.push({ kind: "code", language: "", text: text.join("\n").trimEnd() });
      continue;
    }
    const heading = HEADING.exec(line);
    if (heading) {
      const children = inlinesOf(withoutEnd((heading[2] ?? "").trimEnd()));
      blocks.push({ kind: "heading", level: (heading[1] as string).length, children });
      at++;
      continue;
    }
    if (RULE.test(line)) {
      blocks.push({ kind: "rule" });
      at++;
      continue;
    }
    if (QUOTE.test(line) && depth < DEEPEST) {
      const inner: string[] = [];
      while (
        at < lines.length &&
        (lines[at] as string).trim() !== "" &&
        (QUOTE.test(lines[at] as string) || !startsBlock(lines[at] as string))
      )
        inner.push((lines[at++] as string).replace(QUOTE, ""));
      blocks.push({ kind: "quote", blocks: blocksOf(inner, depth + 1) });
      continue;
    }
    if (LIST.test(line) && depth < DEEPEST) {
      const [list, next] = listAt(lines, at, depth);
      blocks.push(list);
      at = next;
      continue;
    }
    const table = tableAt(lines, at);
    if (table) {
      blocks.push(table[0]);
      at = table[1];
      continue;
    }
    const start = at++;
    let level = 0;
    while (at < lines.length) {
      const next = lines[at] as string;
      const underline = /^ {0,3}(=+|-+)\s*$/.exec(next);
      if (underline) {
        level = (underline[1] as string).startsWith("=") ? 1 : 2;
        at++;
        break;
      }
      if (next.trim() === "" || startsBlock(next)) break;
      at++;
    }
    const text = lines
      .slice(start, level ? at - 1 : at)
      .map((each) => each.trimStart())
      .join("\n");
    const children = inlinesOf(text.trimEnd());
    blocks.push(level ? { kind: "heading", level, children } : { kind: "paragraph", children });
  }
  return blocks;
}

const isEndOf = (mark: string, line: string) => line.startsWith(mark) && /^(`+|~+)$/.test(line);

/** A heading without the hashes that may stand behind it. */
function withoutEnd(title: string): string {
  let end = title.length;
  while (title[end - 1] === "#") end--;
  return end < title.length && /^\s?$/.test(title[end - 1] ?? "") ? title.slice(0, end).trimEnd() : title;
}

function startsBlock(line: string): boolean {
  return (
    FENCE.test(line) ||
    HEADING.test(line) ||
    RULE.test(line) ||
    QUOTE.test(line) ||
    /^ {0,3}([-*+]|1[.)]) +\S/.test(line)
  );
}

function listAt(lines: readonly string[], from: number, depth: number): [Block, number] {
  const first = LIST.exec(lines[from] as string) as RegExpExecArray;
  const kind = kindOfMark(first[2] as string);
  const items: Item[] = [];
  let at = from;
  while (at < lines.length) {
    const mark = LIST.exec(lines[at] as string);
    if (!mark || kindOfMark(mark[2] as string) !== kind || (RULE.test(lines[at] as string) && at > from))
      break;
    const indent = (mark[1] as string).length + (mark[2] as string).length + (mark[3]?.length ?? 1);
    const inner = [(lines[at++] as string).slice(indent)];
    while (at < lines.length) {
      const line = lines[at] as string;
      const isBlank = line.trim() === "";
      if (
        !isBlank &&
        !line.startsWith(" ".repeat(indent)) &&
        (LIST.test(line) || startsBlock(line) || (inner.at(-1) ?? "").trim() === "")
      )
        break;
      inner.push(line.startsWith(" ".repeat(indent)) ? line.slice(indent) : line.trimStart());
      at++;
    }
    const task = /^\[([ xX])\] +/.exec(inner[0] as string);
    if (task) inner[0] = (inner[0] as string).slice(task[0].length);
    items.push({ checked: task ? task[1] !== " " : undefined, blocks: blocksOf(inner, depth + 1) });
  }
  const start =
    kind === "-" || kind === "*" || kind === "+" ? undefined : Number.parseInt(first[2] as string, 10);
  return [{ kind: "list", start, items }, at];
}

const kindOfMark = (mark: string) => mark.at(-1) as string;

function cellsOf(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function tableAt(lines: readonly string[], at: number): [Block, number] | undefined {
  const head = lines[at] as string;
  const line = lines[at + 1];
  if (!head.includes("|") || line === undefined || !/^[\s|:-]+$/.test(line) || !line.includes("-"))
    return undefined;
  const marks = cellsOf(line);
  const names = cellsOf(head);
  if (marks.length !== names.length || !marks.every((mark) => /^:?-+:?$/.test(mark))) return undefined;
  const align = marks.map((mark): Align => {
    if (mark.startsWith(":") && mark.endsWith(":")) return "center";
    return mark.endsWith(":") ? "right" : mark.startsWith(":") ? "left" : undefined;
  });
  const rows: Inline[][][] = [];
  let next = at + 2;
  for (; next < lines.length && (lines[next] as string).includes("|"); next++) {
    const cells = cellsOf(lines[next] as string);
    rows.push(names.map((_, index) => inlinesOf(cells[index] ?? "")));
  }
  return [{ kind: "table", align, head: names.map((name) => inlinesOf(name)), rows }, next];
}

/** What may begin something; all between is text. */
const SPECIAL = /[\\`*_~![<@\n]|https?:\/\//g;
const ESCAPED = /[!-/:-@[-`{-~]/;

export function inlinesOf(text: string): Inline[] {
  if (text.length > LONGEST_INLINE) return [{ kind: "text", text }];
  return new InlineReader(text).read(0, text.length, 0);
}

class InlineReader {
  /** Marks that do not come again behind a place: they are not looked for twice. */
  readonly #absent = new Set<string>();

  constructor(private readonly text: string) {}

  read(from: number, end: number, depth: number): Inline[] {
    const found: Inline[] = [];
    let plain = "";
    const flush = () => {
      if (plain) found.push({ kind: "text", text: plain });
      plain = "";
    };
    let at = from;
    while (at < end) {
      SPECIAL.lastIndex = at;
      const special = SPECIAL.exec(this.text);
      if (!special || special.index >= end) break;
      plain += this.text.slice(at, special.index);
      at = special.index;
      const made = depth < DEEPEST ? this.#at(at, end, depth) : undefined;
      if (made) {
        if (made.inline?.kind === "break") plain = plain.trimEnd();
        if (made.inline?.kind === "text") plain += made.inline.text;
        else if (made.inline) {
          flush();
          found.push(made.inline);
        }
        at = made.next;
      } else plain += this.text[at++];
    }
    plain += this.text.slice(at, Math.max(at, end));
    flush();
    return found;
  }

  #find(mark: string, from: number, end: number): number {
    if (this.#absent.has(mark)) return -1;
    const at = this.text.indexOf(mark, from);
    if (at < 0) this.#absent.add(mark);
    return at < 0 || at + mark.length > end ? -1 : at;
  }

  #at(at: number, end: number, depth: number): { inline?: Inline; next: number } | undefined {
    const text = this.text;
    const here = text[at] as string;
    if (here === "\\") {
      if (text[at + 1] === "\n") return { inline: { kind: "break" }, next: at + 2 };
      const next = text[at + 1] ?? "";
      return ESCAPED.test(next) ? { inline: { kind: "text", text: next }, next: at + 2 } : undefined;
    }
    if (here === "\n") {
      const isHard = text.slice(Math.max(0, at - 2), at) === "  ";
      return { inline: isHard ? { kind: "break" } : { kind: "text", text: " " }, next: at + 1 };
    }
    if (here === "`") {
      const mark = (/^`+/.exec(text.slice(at, at + 40)) as RegExpExecArray)[0];
      const close = this.#find(mark, at + mark.length, end);
      if (close < 0) return { inline: { kind: "text", text: mark }, next: at + mark.length };
      const code = text.slice(at + mark.length, close).replaceAll("\n", " ");
      return { inline: { kind: "code", text: code.trim() || code }, next: close + mark.length };
    }
    if (here === "*" || here === "_" || here === "~") return this.#emphasis(here, at, end, depth);
    if (here === "!" && text[at + 1] === "[") {
      const link = this.#link(at + 1, end);
      if (!link) return undefined;
      return {
        inline: { kind: "image", href: link.href, alt: text.slice(at + 2, link.close) },
        next: link.next,
      };
    }
    if (here === "[") {
      const link = this.#link(at, end);
      if (!link) return undefined;
      const children = this.read(at + 1, link.close, depth + 1);
      return { inline: { kind: "link", href: link.href, children }, next: link.next };
    }
    if (here === "<") {
      const auto = /^<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/.exec(
        text.slice(at, Math.min(end, at + 2100)),
      );
      if (!auto) return undefined;
      const href = auto[1] as string;
      return {
        inline: { kind: "link", href, children: [{ kind: "text", text: href }] },
        next: at + auto[0].length,
      };
    }
    if (here === "@") {
      const named = /^@(run:([0-9a-f]{32})\b|model:([\w.-]{1,250}))/.exec(
        text.slice(at, Math.min(end, at + 260)),
      );
      if (!named || /\w/.test(text[at - 1] ?? "")) return undefined;
      const next = at + named[0].length;
      if (named[2]) return { inline: { kind: "run", id: named[2] }, next };
      const name = (named[3] as string).replace(/[.-]+$/, "");
      return { inline: { kind: "model", name }, next: at + "@model:".length + name.length };
    }
    const bare = /^https?:\/\/[^\s<>"'`]{1,2000}/.exec(text.slice(at, Math.min(end, at + 2100)));
    if (!bare) return undefined;
    let href = bare[0].replace(/[.,;:!?*_~]+$/, "");
    if (href.endsWith(")") && !href.includes("(")) href = href.slice(0, -1);
    return {
      inline: { kind: "link", href, children: [{ kind: "text", text: href }] },
      next: at + href.length,
    };
  }

  #emphasis(
    mark: string,
    at: number,
    end: number,
    depth: number,
  ): { inline: Inline; next: number } | undefined {
    const text = this.text;
    const isDouble = text[at + 1] === mark;
    if (mark === "~" && !isDouble) return undefined;
    const marks = isDouble ? mark + mark : mark;
    const before = text[at - 1] ?? " ";
    const after = text[at + marks.length] ?? " ";
    if (/\s/.test(after) || (mark === "_" && /\w/.test(before))) return undefined;
    let close = this.#find(marks, at + marks.length + 1, end);
    // `*a **b** c*`: the end of a single mark is not inside of a double one.
    for (let tries = 0; close >= 0 && tries < 20; tries++) {
      const isPartOfDouble = !isDouble && (text[close + 1] === mark || text[close - 1] === mark);
      const isInWord = mark === "_" && /\w/.test(text[close + marks.length] ?? " ");
      if (!isPartOfDouble && !isInWord && !/\s/.test(text[close - 1] ?? " ")) {
        const kind = mark === "~" ? "strike" : isDouble ? "strong" : "em";
        const children = this.read(at + marks.length, close, depth + 1);
        return { inline: { kind, children }, next: close + marks.length };
      }
      close = this.#find(marks, close + (isPartOfDouble && text[close + 1] === mark ? 2 : 1), end);
    }
    return undefined;
  }

  /** `[text](target "title")`, at the bracket. */
  #link(at: number, end: number): { close: number; href: string; next: number } | undefined {
    if (this.#find("](", at, end) < 0) return undefined;
    let deep = 0;
    let close = -1;
    for (let index = at; index < Math.min(end, at + 1000); index++) {
      const here = this.text[index];
      if (here === "\\") index++;
      else if (here === "[") deep++;
      else if (here === "]" && --deep === 0) {
        close = index;
        break;
      }
    }
    if (close < 0 || this.text[close + 1] !== "(") return undefined;
    const target =
      /^\(\s*(?:<([^<>\n]{0,2000})>|((?:[^\s()]|\([^\s()]{0,200}\)){0,2000}))(?:\s+(?:"[^"\n]{0,500}"|'[^'\n]{0,500}'))?\s*\)/.exec(
        this.text.slice(close + 1, Math.min(end, close + 3000)),
      );
    if (!target) return undefined;
    return { close, href: target[1] ?? target[2] ?? "", next: close + 1 + target[0].length };
  }
}
