/**
 * A table of any number of rows and columns, of which only what is in sight is in the page.
 *
 * To a screen reader and the keyboard it is one grid: one tab stop, arrows move the active cell, which is named by
 * `aria-activedescendant`. Follows the grid pattern of the ARIA Authoring Practices.
 */

import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { ComponentChildren, TargetedEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { keepScrolled, takeScrolled } from "../app/scrolled";
import { type Layout, Line, px } from "./line";
import type { RowSource } from "./rows";
import { type Column, columnsInSight, rowsDrawn, rowsInSight } from "./window";

export interface GridColumn<R> extends Column {
  readonly title: string;
  readonly isNumber: boolean;
  readonly cell: (row: R, index: number) => ComponentChildren;
  /** What a cell has beside its content, without elements for it: words on what it holds, and a bar from 0 to 1 behind it. */
  readonly look?: (row: R) => { readonly title?: string; readonly bar?: number } | undefined;
  /** The order that the rows have by this column now. */
  readonly sorted?: "ascending" | "descending" | undefined;
  readonly onSort?: () => void;
  readonly head?: ComponentChildren;
  /** Its cells name their rows. */
  readonly isRowHead?: boolean;
  /** What a screen reader says of a cell, where its text is not that. */
  readonly label?: (row: R) => string;
}

export interface GridProps<R> {
  readonly label: string;
  readonly rows: RowSource<R>;
  readonly columns: readonly GridColumn<R>[];
  readonly rowKey: (row: R) => string;
  readonly isChosen?: (row: R) => boolean;
  readonly onOpen?: (row: R, index: number, event: KeyboardEvent | MouseEvent) => void;
  readonly onChoose?: (row: R, index: number, event: KeyboardEvent) => void;
  /** Told of other keys that are pressed on a cell. */
  readonly onKey?: (event: KeyboardEvent, row: R | undefined, column: GridColumn<R> | undefined) => void;
  /** Asked to move a column by one place; tells whether it did. */
  readonly onMove?: (column: GridColumn<R>, by: number) => boolean;
  readonly onResize?: (key: string, width: number) => void;
  /** Told which row is pointed at, or has the active cell while the table has the keys. */
  readonly onHover?: (row: R | undefined) => void;
  /** Asked to show what can be done with a cell, or with a column where there is no row; `place` is where the cell is. */
  readonly onMenu?: (place: DOMRect, column: GridColumn<R>, row: R | undefined, index: number) => void;
  /** For rows that have rows below them: how deep each is, whether it is open (`undefined`: nothing to open), and a way to change it. */
  readonly tree?: {
    readonly level: (row: R) => number;
    readonly isOpen: (row: R) => boolean | undefined;
    readonly toggle: (index: number) => void;
  };
  /** The key of the row that is looked at elsewhere. It changes with each move of the pointer, so rows are not drawn anew for it. */
  readonly lit?: ReadonlySignal<string | undefined>;
}

/** How far from where it was the active row is looked for when rows have come or gone. */
const MOVED_BY = 200;
const ROW_HEIGHT = 28;
const COARSE_ROW_HEIGHT = 44;
const LEAST_WIDTH = 48;

export function Grid<R>(props: GridProps<R>) {
  const { rows, columns } = props;
  const frame = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const left = useSignal(0);
  const size = useSignal({ width: 0, height: 0 });
  const active = useSignal({ row: 0, column: 0 });
  const activeKey = useRef<string | undefined>(undefined);
  const keyOf = (row: R | undefined) => (row === undefined ? undefined : props.rowKey(row));
  const drawnBy = useRef<readonly unknown[]>([]);
  const layout = useRef<Layout<R> | undefined>(undefined);
  const rowHeight = useRef(matchMedia("(pointer: coarse)").matches ? COARSE_ROW_HEIGHT : ROW_HEIGHT).current;
  const total = rows.total.value ?? 0;
  const version = rows.version.value;

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => {
      size.value = { width: element.clientWidth, height: element.clientHeight };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const inSight = rowsInSight(top.value, size.value.height - rowHeight, rowHeight, total);
  const { pinned, shown, before, total: width } = columnsInSight(columns, left.value, size.value.width);
  useEffect(
    () => rows.want(inSight.first, inSight.end),
    [rows, inSight.first, inSight.end, size.value.height],
  );
  useEffect(() => {
    const [down, aside] = takeScrolled(props.label);
    top.value = down;
    frame.current?.scrollTo(down || aside ? { top: down, left: aside } : { top: 0 });
    active.value = { row: 0, column: active.peek().column };
    activeKey.current = undefined;
    return () => rows.stop();
  }, [rows]);
  // Rows that come above it move the active row: a key that is pressed then must not be for another.
  useLayoutEffect(() => {
    const { row, column } = active.peek();
    const keyAt = (index: number) => keyOf(rows.get(index));
    const here = keyAt(row);
    if (here === undefined || here === activeKey.current) return;
    const isUsed = document.activeElement === frame.current && activeKey.current !== undefined;
    for (let by = 1; isUsed && by <= MOVED_BY; by++)
      for (const index of [row + by, row - by])
        if (keyAt(index) === activeKey.current) {
          active.value = { row: index, column };
          return;
        }
    activeKey.current = here;
  }, [rows, version]);

  useLight(frame, props.lit);

  const onScroll = (event: TargetedEvent<HTMLDivElement>) => {
    top.value = event.currentTarget.scrollTop;
    left.value = event.currentTarget.scrollLeft;
    keepScrolled(props.label, top.value, left.value);
  };

  /** Bring the active cell into sight. */
  const reveal = (row: number, column: number) => {
    const element = frame.current;
    if (!element) return;
    const y = row * rowHeight;
    const room = size.peek().height - rowHeight;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + rowHeight > element.scrollTop + room) element.scrollTop = y + rowHeight - room;
    const target = columns[column];
    if (!target || target.pinned) return;
    const pinnedWidth = pinned.reduce((sum, each) => sum + each.column.width, 0);
    let x = pinnedWidth;
    for (const each of columns.slice(0, column)) if (!each.pinned) x += each.width;
    if (x - pinnedWidth < element.scrollLeft) element.scrollLeft = x - pinnedWidth;
    else if (x + target.width > element.scrollLeft + element.clientWidth)
      element.scrollLeft = x + target.width - element.clientWidth;
  };
  const move = (row: number, column: number) => {
    const next = {
      row: Math.max(0, Math.min(total - 1, row)),
      column: Math.max(0, Math.min(columns.length - 1, column)),
    };
    active.value = next;
    activeKey.current = keyOf(rows.get(next.row));
    reveal(next.row, next.column);
    props.onHover?.(rows.get(next.row));
  };
  const onPress = (row: number, column: number) => {
    active.value = { row, column };
    activeKey.current = keyOf(rows.get(row));
  };
  const openMenu = (cell: Element | null | undefined, column: number, row: number) => {
    const about = columns[column];
    if (cell && about) props.onMenu?.(cell.getBoundingClientRect(), about, rows.get(row), row);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== frame.current) return;
    const { row, column } = active.value;
    const screen = Math.max(1, Math.floor(size.value.height / rowHeight) - 2);
    const at = rows.get(row);
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "ArrowDown" || (plain && event.key === "j")) move(row + 1, column);
    else if (event.key === "ArrowUp" || (plain && event.key === "k")) move(row - 1, column);
    else if (props.onMove && event.shiftKey && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const by = event.key === "ArrowRight" ? 1 : -1;
      const about = columns[column];
      if (about && props.onMove(about, by)) active.value = { row, column: column + by };
    } else if (event.key === "ArrowRight") {
      if (column === 0 && at && props.tree?.isOpen(at) === false) props.tree.toggle(row);
      else move(row, column + 1);
    } else if (event.key === "ArrowLeft") {
      if (column === 0 && at && props.tree?.isOpen(at)) props.tree.toggle(row);
      else move(row, column - 1);
    } else if (event.key === "PageDown") move(row + screen, column);
    else if (event.key === "PageUp") move(row - screen, column);
    else if (event.key === "Home") move(event.ctrlKey ? 0 : row, 0);
    else if (event.key === "End") move(event.ctrlKey ? total - 1 : row, columns.length - 1);
    else if (event.key === "Enter" && at) props.onOpen?.(at, row, event);
    else if (props.onMenu && ((plain && event.key === ".") || event.key === "ContextMenu"))
      openMenu(frame.current?.querySelector("#active-cell"), column, row);
    else if ((event.key === " " || (plain && event.key === "x")) && at) props.onChoose?.(at, row, event);
    else if (plain && event.key === "o" && columns[column]?.onSort) columns[column].onSort();
    else {
      props.onKey?.(event, at, columns[column]);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const isActiveInSight =
    active.value.row >= inSight.first &&
    active.value.row < inSight.end &&
    [...pinned, ...shown].some((each) => each.index === active.value.column);
  // While one scrolls, only rows that come into sight are drawn: the others have the layout that they had.
  const by = [props, version, total, before, width, shown[0]?.index, shown.at(-1)?.index];
  if (!layout.current || by.some((each, at) => each !== drawnBy.current[at])) {
    drawnBy.current = by;
    layout.current = { props, pinned, shown, before, width, rowHeight, onPress, onMenu: openMenu };
  }
  // A row that leaves is used for one that comes: no elements are made while one scrolls.
  const places = rowsDrawn(size.value.height - rowHeight, rowHeight);
  const lines = [];
  for (let index = inSight.first; index < inSight.end; index++)
    lines.push(
      <Line<R>
        key={index % places}
        index={index}
        activeColumn={active.value.row === index ? active.value.column : -1}
        layout={layout.current}
      />,
    );

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: its role is grid or treegrid
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: as above
    <div
      ref={frame}
      class="grid"
      role={props.tree ? "treegrid" : "grid"}
      tabIndex={0}
      aria-label={props.label}
      aria-rowcount={total + 1}
      aria-colcount={columns.length}
      aria-multiselectable={props.onChoose ? true : undefined}
      aria-activedescendant={isActiveInSight ? "active-cell" : undefined}
      style={{ "--row": `${rowHeight}px` }}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
      onMouseLeave={() => props.onHover?.(undefined)}
      onBlur={() => props.onHover?.(undefined)}
    >
      <div role="rowgroup" class="head" style={{ width: px(width) }}>
        <div role="row" aria-rowindex={1} class="head" style={{ width: px(width) }}>
          {pinned.map((each) => (
            <HeadCell
              key={each.column.key}
              {...each}
              onResize={props.onResize}
              onMenu={props.onMenu && ((cell) => openMenu(cell, each.index, -1))}
            />
          ))}
          <div role="presentation" style={{ flex: "none", width: px(before) }} />
          {shown.map((each) => (
            <HeadCell
              key={each.column.key}
              {...each}
              onResize={props.onResize}
              onMenu={props.onMenu && ((cell) => openMenu(cell, each.index, -1))}
            />
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: px(total * rowHeight), width: px(width), position: "relative" }}>
        {lines}
      </div>
    </div>
  );
}

/** Mark the row that is lit, without drawing the table: a pointer that moves over charts would draw it a hundred times a second. */
function useLight(
  frame: { current: HTMLElement | null },
  lit: ReadonlySignal<string | undefined> | undefined,
) {
  const isMarked = useRef(false);
  const mark = () => {
    const key = lit?.peek();
    if (key === undefined && !isMarked.current) return;
    isMarked.current = key !== undefined;
    for (const line of frame.current?.querySelectorAll<HTMLElement>(".line") ?? [])
      line.toggleAttribute("data-lit", key !== undefined && line.dataset.key === key);
  };
  useLayoutEffect(mark); // rows that came into sight
  useEffect(() => lit?.subscribe(mark), [lit]);
}

function HeadCell<R>(props: {
  column: GridColumn<R>;
  left: number;
  index: number;
  onResize: ((key: string, width: number) => void) | undefined;
  onMenu: ((cell: Element) => void) | undefined;
}) {
  const { column, onResize, onMenu } = props;
  const start = useRef<{ x: number; width: number } | undefined>(undefined);
  return (
    <div
      role="columnheader"
      aria-colindex={props.index + 1}
      aria-sort={column.sorted ?? (column.onSort ? "none" : undefined)}
      class={`cell${column.isNumber ? " number" : ""}${column.pinned ? " pinned" : ""}`}
      style={{ width: px(column.width), left: column.pinned ? px(props.left) : undefined }}
      title={column.title}
      onContextMenu={(event) => {
        if (!onMenu) return;
        event.preventDefault();
        onMenu(event.currentTarget);
      }}
    >
      {column.head ??
        (column.onSort ? (
          <button type="button" tabIndex={-1} onClick={column.onSort}>
            {column.title}
            {column.sorted && <span aria-hidden="true">{column.sorted === "ascending" ? " ↑" : " ↓"}</span>}
          </button>
        ) : (
          column.title
        ))}
      {onMenu && (
        // for pointers; keys open the same menu on any cell of the column
        <span
          class="more"
          aria-hidden="true"
          onClick={(event) => event.currentTarget.parentElement && onMenu(event.currentTarget.parentElement)}
        />
      )}
      {onResize && (
        <span
          class="resize"
          aria-hidden="true"
          onPointerDown={(event) => {
            event.preventDefault();
            start.current = { x: event.clientX, width: column.width };
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => {
            if (!start.current) return;
            onResize(
              column.key,
              Math.max(LEAST_WIDTH, start.current.width + event.clientX - start.current.x),
            );
          }}
          onPointerUp={() => (start.current = undefined)}
        />
      )}
    </div>
  );
}
