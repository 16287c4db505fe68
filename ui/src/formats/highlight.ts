/** Which parts of a program's text are comments, texts, numbers and words of the language: enough to read it by. */

export type TokenKind = "comment" | "string" | "number" | "word" | "key";
export interface Token {
  readonly text: string;
  readonly kind: TokenKind | undefined;
}

const WORDS: Record<string, string> = {
  python:
    "False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return try while with yield",
  script:
    "abstract as async await boolean break case catch class const continue default delete do else enum export extends false final finally fn for from func function if implements import in instanceof int interface let match mod mut namespace new null number of package private protected pub public readonly return self static string struct super switch this throw true try type typeof undefined use var void while yield",
  shell: "case do done elif else esac export fi for function if in local return set then until while",
  sql: "ALTER AND AS ASC BY CASE CREATE DELETE DESC DISTINCT DROP ELSE END FROM GROUP HAVING IN INDEX INNER INSERT INTO IS JOIN LEFT LIKE LIMIT NOT NULL ON OR ORDER OUTER RIGHT SELECT SET TABLE THEN UNION UPDATE VALUES VIEW WHEN WHERE WITH",
  data: "true false null yes no True False None",
};

interface Language {
  readonly words: ReadonlySet<string>;
  readonly pattern: RegExp;
  readonly ignoreCase: boolean;
}

const STRING = `"(?:[^"\\\\\\n]|\\\\.)*"?|'(?:[^'\\\\\\n]|\\\\.)*'?`;
const NUMBER = "\\b(?:0[xX][0-9a-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b";
const WORD = "[A-Za-z_$][\\w$]*";

function language(name: keyof typeof WORDS, comment: string, string = STRING, ignoreCase = false): Language {
  const words = (WORDS[name] as string).split(" ");
  return {
    words: new Set(ignoreCase ? words.flatMap((each) => [each, each.toLowerCase()]) : words),
    pattern: new RegExp(`(${comment})|(${string})|(${NUMBER})|(${WORD})`, "g"),
    ignoreCase,
  };
}

const HASH = "#[^\\n]*";
const SLASHES = "\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)";
const PYTHON = language(
  "python",
  HASH,
  `[rbfuRBFU]{0,2}(?:"""[\\s\\S]*?(?:"""|$)|'''[\\s\\S]*?(?:'''|$)|${STRING})`,
);
const SCRIPT = language("script", SLASHES, `\`(?:[^\`\\\\]|\\\\[\\s\\S])*\`?|${STRING}`);
const SHELL = language("shell", `(?<=^|\\s)${HASH}`);
const SQL = language("sql", "--[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)", STRING, true);
const DATA = language("data", `(?<=^|\\s)${HASH}`);

const BY_NAME: Record<string, Language> = {
  ...Object.fromEntries(["py", "python", "pyi", "python3", "ipython"].map((name) => [name, PYTHON])),
  ...Object.fromEntries(
    "js ts jsx tsx javascript typescript java go rs rust c h cpp hpp cc scala kt swift css cuda cu"
      .split(" ")
      .map((name) => [name, SCRIPT]),
  ),
  ...Object.fromEntries(
    "sh bash zsh shell console dockerfile makefile r".split(" ").map((name) => [name, SHELL]),
  ),
  ...Object.fromEntries(
    "yaml yml toml ini cfg conf json jsonl properties env txt_requirements"
      .split(" ")
      .map((name) => [name, DATA]),
  ),
  sql: SQL,
};

/** The parts of a text; all of it plain where the language is not known. */
export function highlight(text: string, name: string): Token[] {
  const known = Object.hasOwn(BY_NAME, name.toLowerCase()) ? BY_NAME[name.toLowerCase()] : undefined;
  if (!known) return [{ text, kind: undefined }];
  const tokens: Token[] = [];
  let at = 0;
  const plain = (end: number) => {
    if (end > at) tokens.push({ text: text.slice(at, end), kind: undefined });
  };
  for (const match of text.matchAll(known.pattern)) {
    const [whole, comment, string, number] = match;
    let kind: TokenKind | undefined;
    if (comment !== undefined) kind = "comment";
    else if (string !== undefined)
      kind =
        known === DATA && /^\s*:/.test(text.slice(match.index + whole.length, match.index + whole.length + 8))
          ? "key"
          : "string";
    else if (number !== undefined) kind = "number";
    else if (known.words.has(whole)) kind = "word";
    else if (known === DATA && text[match.index + whole.length] === ":") kind = "key";
    if (!kind) continue;
    plain(match.index);
    tokens.push({ text: whole, kind });
    at = match.index + whole.length;
  }
  plain(text.length);
  return tokens;
}
