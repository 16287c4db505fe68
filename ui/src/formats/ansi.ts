/** What a terminal would show of a text with colours in it: escape sequences become kinds, and lines drawn anew their last form. */

export interface AnsiPart {
  readonly text: string;
  /** `red`, `green`, ... and `bold`. */
  readonly kinds: readonly string[];
}

const COLOURS = ["grey", "red", "green", "yellow", "blue", "magenta", "cyan", "plain"] as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const SEQUENCE = /\u001b(?:\[([0-9;:?]*)([@-~])|\][^\u0007\u001b]{0,4000}(?:\u0007|\u001b\\)|[@-Z\\^_])/g;

export function parseAnsi(text: string): AnsiPart[] {
  const parts: AnsiPart[] = [];
  let colour = "";
  let isBold = false;
  let at = 0;
  const add = (end: number) => {
    if (end <= at) return;
    const kinds = [colour, isBold ? "bold" : ""].filter(Boolean);
    parts.push({ text: text.slice(at, end), kinds });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    add(match.index);
    at = match.index + match[0].length;
    if (match[2] !== "m") continue;
    const codes = (match[1] || "0").split(/[;:]/).map(Number);
    for (let index = 0; index < codes.length; index++) {
      const code = codes[index] as number;
      if (code === 0) {
        colour = "";
        isBold = false;
      } else if (code === 1) isBold = true;
      else if (code === 22) isBold = false;
      else if (code === 39) colour = "";
      else if (code >= 30 && code <= 37) colour = COLOURS[code - 30] as string;
      else if (code >= 90 && code <= 97) colour = COLOURS[code - 90] as string;
      else if (code === 38 || code === 48) index += codes[index + 1] === 5 ? 2 : 4; // one of 256 or of all colours
    }
  }
  add(text.length);
  return parts;
}

/** Lines that were drawn anew by carriage returns, as they ended. */
export function asItEnded(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => {
      let end = line.length;
      while (line[end - 1] === "\r") end--;
      return line.slice(end && line.lastIndexOf("\r", end - 1) + 1, end);
    })
    .join("\n");
}
