/** A patch as files with their lines, for colours and jumps. */

export type DiffKind = "added" | "removed" | "same" | "place" | "note";
export interface DiffLine {
  readonly kind: DiffKind;
  readonly text: string;
  readonly before: number | undefined;
  readonly after: number | undefined;
}
export interface DiffFile {
  readonly name: string;
  readonly lines: DiffLine[];
  readonly added: number;
  readonly removed: number;
}

export function parseDiff(text: string): DiffFile[] {
  const files: { name: string; lines: DiffLine[]; added: number; removed: number }[] = [];
  let before = 0;
  let after = 0;
  let leftBefore = 0;
  let leftAfter = 0;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const begins = /^diff --git (?:"?a\/(.*?)"?) (?:"?b\/(.*?)"?)$/.exec(line);
    if (begins && leftBefore <= 0 && leftAfter <= 0) {
      files.push({ name: begins[2] ?? line, lines: [], added: 0, removed: 0 });
      continue;
    }
    let file = files.at(-1);
    if (!file) {
      file = { name: "", lines: [], added: 0, removed: 0 };
      files.push(file);
    }
    const place = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (place) {
      before = Number(place[1]);
      after = Number(place[3]);
      leftBefore = Number(place[2] ?? 1);
      leftAfter = Number(place[4] ?? 1);
      file.lines.push({ kind: "place", text: line, before: undefined, after: undefined });
    } else if (line.startsWith("+") && leftAfter > 0) {
      file.lines.push({ kind: "added", text: line.slice(1), before: undefined, after: after++ });
      file.added++;
      leftAfter--;
    } else if (line.startsWith("-") && leftBefore > 0) {
      file.lines.push({ kind: "removed", text: line.slice(1), before: before++, after: undefined });
      file.removed++;
      leftBefore--;
    } else if ((line.startsWith(" ") || line === "") && leftBefore > 0 && leftAfter > 0) {
      file.lines.push({ kind: "same", text: line.slice(1), before: before++, after: after++ });
      leftBefore--;
      leftAfter--;
    } else if (!/^(index |--- |\+\+\+ )/.test(line) && line !== "")
      file.lines.push({ kind: "note", text: line, before: undefined, after: undefined });
  }
  return files;
}
