/** CSV and TSV: quotes, doubled quotes, line ends within quotes. */

export interface Delimited {
  readonly head: string[];
  readonly rows: string[][];
}

/** A cell that is a number. */
export const NUMBER = /^\s*[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?\s*$/i;

/** `isCut` says that the text ends somewhere within a row, which is left out then. */
export function parseDelimited(text: string, separator: string, isCut = false): Delimited {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const end = text.length;
  while (at < end) {
    let cell: string;
    if (text[at] === '"') {
      cell = "";
      at++;
      while (at < end) {
        const quote = text.indexOf('"', at);
        if (quote < 0) {
          cell += text.slice(at);
          at = end;
          break;
        }
        cell += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at++;
      }
      while (at < end && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") cell += text[at++];
    } else {
      const start = at;
      while (at < end && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") at++;
      cell = text.slice(start, at);
    }
    row.push(cell);
    if (text[at] === separator) {
      at++;
      if (at === end) row.push("");
      continue;
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    if (at >= end && isCut) break;
    at++;
    rows.push(row);
    row = [];
  }
  if (row.length && !isCut) rows.push(row);
  const [head = [], ...rest] = rows.filter((each) => each.length > 1 || each[0] !== "");
  return { head, rows: rest };
}

/** What separates the cells: what is most frequent in the first line, outside of quotes. */
export function separatorOf(text: string, path: string): string {
  if (/\.tsv$/i.test(path)) return "\t";
  const first = (text.split("\n", 1)[0] ?? "").replace(/"[^"]*"/g, "");
  const counts = [",", ";", "\t", "|"].map((mark) => [mark, first.split(mark).length] as const);
  return counts.reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}
