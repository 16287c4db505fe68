/** Names and values of a run, however many: searched, drawn where one looks, copied by Enter. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { CopyIcon } from "../app/copy";
import { query, setQuery } from "../app/router";
import { tell, tellFailure } from "../app/toasts";
import { Grid, type GridColumn } from "../grid/grid";
import { Rows } from "../grid/rows";
import { copyText } from "../lib/clipboard";
import { count } from "../lib/format";

const ROW_HEIGHT = 28;
const COARSE_ROW_HEIGHT = 44;
const MOST_ROWS = 12;
const SEARCHED_FROM = 8;
/** As in the sheet. */
const TWO_COLUMNS = 900;

/** How wide a table of the overview can be: its columns share that. */
export function roomForTable(): number {
  return innerWidth > TWO_COLUMNS ? (innerWidth - 64) * 0.6 - 24 : innerWidth - 44;
}

interface Props<R> {
  readonly id: string;
  readonly title: string;
  readonly all: readonly R[];
  readonly columns: readonly GridColumn<R>[];
  readonly keyOf: (row: R) => string;
  /** What the search looks at. */
  readonly textOf: (row: R) => string;
  /** What Enter copies. */
  readonly valueOf: (row: R) => string;
  readonly lineOf: (row: R) => string;
  /** Called with rows that will be drawn, before they are. */
  readonly prepare?: (rows: readonly R[], abort: AbortSignal) => Promise<void>;
  readonly empty: ComponentChildren;
  /** Changes when cells are to be drawn anew. */
  readonly version?: unknown;
}

export function ValuesTable<R>(props: Props<R>) {
  const { id, title, all } = props;
  const search = query.value.get(id) ?? "";
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length === 0
      ? all
      : all.filter((row) => {
          const text = props.textOf(row).toLowerCase();
          return words.every((word) => text.includes(word));
        });
  }, [all, search]);
  const rows = useMemo(
    () =>
      new Rows<R>(async (offset, limit, abort) => {
        const part = found.slice(offset, offset + limit);
        await props.prepare?.(part, abort);
        return { total: found.length, rows: part };
      }),
    [found],
  );
  const isCoarse = matchMedia("(pointer: coarse)").matches;
  const height = (isCoarse ? COARSE_ROW_HEIGHT : ROW_HEIGHT) * (Math.min(found.length, MOST_ROWS) + 1) + 14;
  const copy = async (text: string, what: string) => {
    try {
      await copyText(text);
      tell(`${what} copied.`);
    } catch (error) {
      tellFailure(error);
    }
  };
  return (
    <section class="values" aria-labelledby={`${id}-title`}>
      <div class="values-head">
        <h2 id={`${id}-title`}>
          {title}{" "}
          <span class="quiet">
            {count(found.length)}
            {found.length < all.length && ` of ${count(all.length)}`}
          </span>
        </h2>
        <span class="stretch" />
        {(all.length >= SEARCHED_FROM || search !== "") && (
          <input
            type="search"
            id={`${id}-search`}
            aria-label={`Search ${title.toLowerCase()}`}
            placeholder="search"
            value={search}
            onInput={(event) => setQuery({ [id]: event.currentTarget.value })}
          />
        )}
        {all.length > 0 && (
          <button
            type="button"
            class="plain"
            aria-label={`Copy all ${title.toLowerCase()}`}
            title={`Copy all ${title.toLowerCase()}, tabs between`}
            onClick={() => copy(found.map(props.lineOf).join("\n"), title)}
          >
            <CopyIcon />
          </button>
        )}
      </div>
      {all.length === 0 ? (
        <p class="quiet">{props.empty}</p>
      ) : found.length === 0 ? (
        <p class="quiet">Nothing has that in its name or value.</p>
      ) : (
        <div class="values-grid" style={{ height: `${height}px` }}>
          <Grid
            label={title}
            rows={rows}
            columns={props.columns}
            rowKey={props.keyOf}
            onOpen={(row, _, event) => {
              if (event instanceof KeyboardEvent) void copy(props.valueOf(row), props.keyOf(row));
            }}
          />
        </div>
      )}
    </section>
  );
}
