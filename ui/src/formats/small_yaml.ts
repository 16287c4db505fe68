/**
 * The YAML that programs write: maps, lists, plain and quoted scalars, folded and literal texts, empty flow collections.
 *
 * Anchors, tags and what else people write by hand are refused: the text is shown then.
 */

export type Yaml = string | number | boolean | null | Yaml[] | { [name: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly raw: string;
}

export class YamlError extends Error {}
const DEEPEST = 40;

export function parseYaml(text: string): Yaml {
  const lines: Line[] = [];
  for (const raw of text.replaceAll("\r\n", "\n").split("\n")) {
    if (raw.startsWith("---")) continue;
    lines.push({ indent: raw.length - raw.trimStart().length, text: raw.trim(), raw });
  }
  const reader = new Reader(lines);
  const value = reader.block(0, 0);
  reader.skip();
  if (!reader.isAtEnd) throw new YamlError("more than one value");
  return value;
}

const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[\]{}&*!|>%@`#-][^#]*?|-[^\s#][^#]*?)\s*:(?:\s+(.*))?$/;

class Reader {
  #at = 0;
  constructor(private readonly lines: readonly Line[]) {}

  get isAtEnd(): boolean {
    return this.#at >= this.lines.length;
  }

  skip(): void {
    while (!this.isAtEnd) {
      const line = this.lines[this.#at] as Line;
      if (line.text !== "" && !line.text.startsWith("#")) return;
      this.#at++;
    }
  }

  block(least: number, depth: number): Yaml {
    if (depth > DEEPEST) throw new YamlError("nested too deeply");
    this.skip();
    const line = this.lines[this.#at];
    if (!line || line.indent < least) return null;
    if (line.text === "-" || line.text.startsWith("- ")) return this.#list(line.indent, depth);
    if (KEY.test(line.text)) return this.#map(line.indent, depth);
    this.#at++;
    return this.#scalar(line.text, least - 1);
  }

  #list(indent: number, depth: number): Yaml[] {
    const items: Yaml[] = [];
    for (;;) {
      this.skip();
      const line = this.lines[this.#at];
      if (!line || line.indent !== indent || !(line.text === "-" || line.text.startsWith("- "))) return items;
      const rest = line.text.slice(1).trimStart();
      if (rest === "") {
        this.#at++;
        items.push(this.block(indent + 1, depth + 1));
      } else if (KEY.test(rest) || rest.startsWith("- ")) {
        // the rest of the line is the first line of a block of its own
        const inner = indent + line.text.length - rest.length;
        (this.lines as Line[])[this.#at] = { indent: inner, text: rest, raw: " ".repeat(inner) + rest };
        items.push(this.block(inner, depth + 1));
      } else {
        this.#at++;
        items.push(this.#scalar(rest, indent));
      }
    }
  }

  #map(indent: number, depth: number): Yaml {
    const found: { [name: string]: Yaml } = Object.create(null) as { [name: string]: Yaml };
    for (;;) {
      this.skip();
      const line = this.lines[this.#at];
      if (!line || line.indent < indent) return found;
      const pair = KEY.exec(line.text);
      if (line.indent !== indent || !pair)
        throw new YamlError(`no name and value: ${line.text.slice(0, 80)}`);
      this.#at++;
      const name = String(plain(pair[1] as string));
      const value = pair[2] ?? "";
      if (value === "" || value.startsWith("#")) {
        this.skip();
        const next = this.lines[this.#at];
        // lists may begin at the column of the name
        const isList = next && next.indent === indent && (next.text === "-" || next.text.startsWith("- "));
        found[name] = isList ? this.#list(indent, depth + 1) : this.block(indent + 1, depth + 1);
      } else found[name] = this.#scalar(value, indent);
    }
  }

  #scalar(first: string, indent: number): Yaml {
    if (/^[|>]/.test(first)) return this.#text(first, indent);
    if (/^[&*!%@`]/.test(first)) throw new YamlError(`not understood: ${first.slice(0, 80)}`);
    let text = first;
    const quote = text[0] === '"' || text[0] === "'" ? text[0] : undefined;
    const isOpen = () =>
      quote === '"'
        ? !/^"(?:[^"\\]|\\.)*"\s*(#.*)?$/s.test(text)
        : quote
          ? !/^'(?:[^']|'')*'\s*(#.*)?$/s.test(text)
          : false;
    while (!this.isAtEnd) {
      const line = this.lines[this.#at] as Line;
      if (quote ? !isOpen() : line.indent <= indent || line.text === "" || line.text.startsWith("#")) break;
      // a line end within a scalar is a space; a blank line is one line end
      if (line.text === "") text += "\n";
      else
        text += text.endsWith("\n")
          ? line.text
          : quote === '"' && text.endsWith("\\")
            ? line.text
            : ` ${line.text}`;
      if (quote === '"' && text.length > 5_000_000) throw new YamlError("too long");
      this.#at++;
    }
    return plain(text);
  }

  #text(head: string, indent: number): string {
    const isLiteral = head.startsWith("|");
    const found: string[] = [];
    let margin = -1;
    while (!this.isAtEnd) {
      const line = this.lines[this.#at] as Line;
      if (line.text !== "" && line.indent <= indent) break;
      if (margin < 0 && line.text !== "") margin = line.indent;
      found.push(line.raw.slice(Math.max(0, margin)));
      this.#at++;
    }
    const text = found.join("\n").trimEnd();
    const body = isLiteral ? text : text.replace(/([^\n])\n(?=[^\n ])/g, "$1 ");
    return head.includes("-") ? body : `${body}\n`;
  }
}

function plain(text: string): Yaml {
  if (text.startsWith('"')) {
    const inner = text.replace(/\s*#[^"]*$/, "");
    try {
      return JSON.parse(
        inner
          .replace(/\\x([0-9a-fA-F]{2})/g, "\\u00$1")
          .replace(/\\ /g, " ")
          .replaceAll("\\'", "'")
          .replaceAll("\n", "\\n"),
      ) as string;
    } catch {
      throw new YamlError(`not understood: ${text.slice(0, 80)}`);
    }
  }
  if (text.startsWith("'"))
    return text
      .replace(/\s*#[^']*$/, "")
      .slice(1, -1)
      .replaceAll("''", "'");
  const bare = text.replace(/\s+#.*$/, "");
  if (bare === "" || bare === "~" || bare === "null") return null;
  if (bare === "true" || bare === "false") return bare === "true";
  if (bare.startsWith("[") || bare.startsWith("{")) {
    if (bare === "[]") return [];
    if (bare === "{}") return {};
    try {
      return JSON.parse(bare) as Yaml;
    } catch {
      throw new YamlError(`not understood: ${bare.slice(0, 80)}`);
    }
  }
  return /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(bare) ? Number(bare) : bare;
}
