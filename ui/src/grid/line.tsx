/**
 * A row of a virtual table. It is drawn anew only when another row stands there, the active cell comes or goes, or the table changed.
 *
 * It is a component, and what it hands to the page is made in functions of its own: a handler that the table's function
 * had made would keep all that was drawn then, and through it what was drawn before, long after it was scrolled away.
 */

import { Component, createRef } from "preact";
import type { GridColumn, GridProps } from "./grid";
import type { Placed } from "./window";

/** What is the same for all rows; another object when any of it changes. */
export interface Layout<R> {
  readonly props: GridProps<R>;
  readonly pinned: readonly Placed<GridColumn<R>>[];
  readonly shown: readonly Placed<GridColumn<R>>[];
  /** The room that columns left of the shown ones take. */
  readonly before: number;
  readonly width: number;
  readonly rowHeight: number;
  readonly onPress: (row: number, column: number) => void;
  readonly onMenu: (cell: Element | null, column: number, row: number) => void;
}

interface Props<R> {
  readonly index: number;
  /** -1 where the active cell is in another row. */
  readonly activeColumn: number;
  readonly layout: Layout<R>;
}

export class Line<R> extends Component<Props<R>> {
  readonly #element = createRef<HTMLDivElement>();

  override shouldComponentUpdate(next: Props<R>): boolean {
    const { index, activeColumn, layout } = this.props;
    return next.index !== index || next.activeColumn !== activeColumn || next.layout !== layout;
  }

  /** What one clicked in it must not have the keys when it is another row. */
  override componentDidUpdate(before: Props<R>): void {
    const element = this.#element.current;
    if (before.index !== this.props.index && element?.contains(document.activeElement))
      element.closest<HTMLElement>("[role=grid], [role=treegrid]")?.focus({ preventScroll: true });
  }

  override render({ index, activeColumn, layout }: Props<R>) {
    const { props, onPress, onMenu } = layout;
    const row = props.rows.get(index);
    const isChosen = row !== undefined ? props.isChosen?.(row) : undefined;
    const cell = (placed: Placed<GridColumn<R>>) =>
      cellOf(placed, row, index, layout, placed.index === activeColumn);
    return (
      <div
        ref={this.#element}
        role="row"
        aria-rowindex={index + 2}
        aria-level={row !== undefined && props.tree ? props.tree.level(row) + 1 : undefined}
        aria-expanded={row !== undefined ? props.tree?.isOpen(row) : undefined}
        aria-selected={isChosen}
        data-key={row === undefined ? undefined : props.rowKey(row)}
        class={isChosen ? "line chosen" : "line"}
        style={{ transform: `translateY(${index * layout.rowHeight}px)`, width: px(layout.width) }}
        onMouseEnter={() => props.onHover?.(row)}
        onDblClick={(event) => {
          // two quick clicks on what has its own use are no wish to open the row
          const isOwn = (event.target as Element).closest("a, button, input, label, select");
          if (row !== undefined && !isOwn) props.onOpen?.(row, index, event);
        }}
        onMouseDown={(event) => {
          const column = columnOf(cellAround(event.target));
          if (column !== undefined) onPress(index, column);
        }}
        onContextMenu={(event) => {
          const at = cellAround(event.target);
          const column = columnOf(at);
          // a link keeps the browser's own menu
          if (!props.onMenu || row === undefined || column === undefined) return;
          if ((event.target as Element).closest("a")) return;
          event.preventDefault();
          onMenu(at, column, index);
        }}
      >
        {layout.pinned.map(cell)}
        <div role="presentation" style={{ flex: "none", width: px(layout.before) }} />
        {layout.shown.map(cell)}
      </div>
    );
  }
}

/** Few nodes: a thousand cells may be in sight. */
function cellOf<R>(
  { column, left, index: number }: Placed<GridColumn<R>>,
  row: R | undefined,
  index: number,
  layout: Layout<R>,
  isActive: boolean,
) {
  const look = row === undefined ? undefined : column.look?.(row);
  const style: Record<string, string> = { width: px(column.width) };
  let name = "cell";
  if (column.isNumber) name += " number";
  if (column.pinned) {
    name += " pinned";
    style.left = px(left);
  }
  if (isActive) name += " active";
  if (row === undefined) name += " waiting";
  if (look?.bar) {
    name += " barred";
    style["--bar"] = `${look.bar * 100}%`;
  }
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: its role is gridcell or rowheader
    <div
      key={column.key}
      id={isActive ? "active-cell" : undefined}
      role={column.isRowHead ? "rowheader" : "gridcell"}
      aria-label={row === undefined ? undefined : column.label?.(row)}
      aria-colindex={number + 1}
      class={name}
      title={look?.title}
      style={style}
    >
      {row === undefined ? "·" : column.cell(row, index)}
      {isActive && layout.props.onMenu && row !== undefined && (
        <button
          type="button"
          class="more"
          tabIndex={-1}
          aria-label={`What to do with this cell of ${column.title}`}
          onClick={(event) => layout.onMenu(event.currentTarget.parentElement, number, index)}
        />
      )}
    </div>
  );
}

const cellAround = (target: EventTarget | null) => (target as Element).closest("[aria-colindex]");

function columnOf(cell: Element | null): number | undefined {
  return cell ? Number(cell.getAttribute("aria-colindex")) - 1 : undefined;
}

/** Preact takes lengths with their unit. */
export const px = (length: number) => `${length}px`;
