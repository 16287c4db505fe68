/** Two texts line by line: what only the first has, what only the second has, what both have. */

export interface DiffLine {
  readonly kind: "same" | "removed" | "added";
  readonly text: string;
}

/** Beyond this many changes the texts have little in common, and the rest is shown as removed and added. */
const MOST_CHANGES = 1500;

/** The shortest way from one to the other, after Myers. */
export function lineDiff(one: string, other: string): DiffLine[] {
  const before = one.split("\n");
  const after = other.split("\n");
  let first = 0;
  while (first < before.length && first < after.length && before[first] === after[first]) first++;
  let last = 0;
  while (
    last < before.length - first &&
    last < after.length - first &&
    before[before.length - 1 - last] === after[after.length - 1 - last]
  )
    last++;
  const same = (text: string): DiffLine => ({ kind: "same", text });
  return [
    ...before.slice(0, first).map(same),
    ...middle(before.slice(first, before.length - last), after.slice(first, after.length - last)),
    ...before.slice(before.length - last).map(same),
  ];
}

function middle(before: readonly string[], after: readonly string[]): DiffLine[] {
  const removed = (text: string): DiffLine => ({ kind: "removed", text });
  const added = (text: string): DiffLine => ({ kind: "added", text });
  if (!before.length || !after.length) return [...before.map(removed), ...after.map(added)];
  const offset = Math.min(MOST_CHANGES, before.length + after.length) + 1;
  const reach = new Int32Array(2 * offset + 1);
  const trace: Int32Array[] = [];
  for (let changes = 0; changes < offset; changes++) {
    trace.push(reach.slice());
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      const isDown =
        diagonal === -changes ||
        (diagonal !== changes && at(reach, offset + diagonal - 1) < at(reach, offset + diagonal + 1));
      let x = isDown ? at(reach, offset + diagonal + 1) : at(reach, offset + diagonal - 1) + 1;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++;
      reach[offset + diagonal] = x;
      if (x >= before.length && x - diagonal >= after.length) return way(before, after, trace, offset);
    }
  }
  return [...before.map(removed), ...after.map(added)];
}

const at = (values: Int32Array, index: number) => values[index] as number;

function way(
  before: readonly string[],
  after: readonly string[],
  trace: readonly Int32Array[],
  offset: number,
): DiffLine[] {
  const lines: DiffLine[] = [];
  let x = before.length;
  let y = after.length;
  for (let changes = trace.length - 1; changes >= 0; changes--) {
    const reach = trace[changes] as Int32Array;
    const diagonal = x - y;
    const isDown =
      diagonal === -changes ||
      (diagonal !== changes && at(reach, offset + diagonal - 1) < at(reach, offset + diagonal + 1));
    const from = isDown ? diagonal + 1 : diagonal - 1;
    const fromX = changes === 0 ? 0 : at(reach, offset + from);
    const fromY = changes === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0 && before[x - 1] === after[y - 1]) {
      lines.push({ kind: "same", text: before[x - 1] as string });
      x--;
      y--;
    }
    if (changes === 0) break;
    if (isDown) lines.push({ kind: "added", text: after[--y] as string });
    else lines.push({ kind: "removed", text: before[--x] as string });
  }
  return lines.reverse();
}
