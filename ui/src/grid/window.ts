/** Which rows and columns of a large table are in sight. */

export interface Column {
  readonly key: string;
  readonly width: number;
  readonly pinned: boolean;
}

export interface Placed<C extends Column> {
  readonly column: C;
  /** From the left edge of the table. */
  readonly left: number;
  /** Among all columns, from 0. */
  readonly index: number;
}

/** Rows drawn beyond each edge, so that a fling does not outrun the drawing. */
const SPARE_ROWS = 6;
const SPARE_PIXELS = 300;

/** How many rows are drawn at most. */
export const rowsDrawn = (height: number, rowHeight: number) =>
  Math.ceil(Math.max(0, height) / rowHeight) + 1 + 2 * SPARE_ROWS;

/** Which rows are drawn: as many wherever one is, but at both ends, so that those that leave make room for those that come. */
export function rowsInSight(
  top: number,
  height: number,
  rowHeight: number,
  total: number,
): { first: number; end: number } {
  const begin = Math.floor(top / rowHeight) - SPARE_ROWS;
  const first = Math.max(0, begin);
  const end = Math.min(total, begin + rowsDrawn(height, rowHeight));
  return { first: Math.min(first, end), end };
}

/** Pinned columns, and those of the others that are in sight, with the room that those left of them take. */
export function columnsInSight<C extends Column>(
  columns: readonly C[],
  left: number,
  width: number,
): { pinned: Placed<C>[]; shown: Placed<C>[]; before: number; total: number } {
  const pinned: Placed<C>[] = [];
  const shown: Placed<C>[] = [];
  let pinnedWidth = 0;
  for (const [index, column] of columns.entries())
    if (column.pinned) {
      pinned.push({ column, left: pinnedWidth, index });
      pinnedWidth += column.width;
    }
  let at = pinnedWidth;
  let before = 0;
  for (const [index, column] of columns.entries()) {
    if (column.pinned) continue;
    const isLeftOf = at + column.width < left + pinnedWidth - SPARE_PIXELS;
    if (isLeftOf) before += column.width;
    else if (at < left + width + SPARE_PIXELS) shown.push({ column, left: at, index });
    at += column.width;
  }
  return { pinned, shown, before, total: at };
}
