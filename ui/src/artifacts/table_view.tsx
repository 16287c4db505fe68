/** Rows of a file as a table that is drawn where one looks. */

import { useMemo, useState } from "preact/hooks";
import { NUMBER, parseDelimited, separatorOf } from "../formats/delimited";
import { Grid, type GridColumn } from "../grid/grid";
import { Rows } from "../grid/rows";
import { count } from "../lib/format";
import { visibleLine } from "../lib/visible";

export interface FileTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const tableOfText = (text: string, path: string, isCut: boolean): FileTable =>
  parseDelimited(text, separatorOf(text, path), isCut);

/** The tables that `log_table` writes, and lists of objects with the same names; else nothing. */
export function tableOfJson(value: unknown): FileTable | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { columns, data } = value as { columns?: unknown; data?: unknown };
  if (Array.isArray(columns) && Array.isArray(data) && data.every(Array.isArray))
    return { head: columns.map(asText), rows: data.map((row: unknown[]) => row.map(asText)) };
  if (!Array.isArray(value) || value.length < 2) return undefined;
  const isRow = (each: unknown): each is Record<string, unknown> =>
    typeof each === "object" && each !== null && !Array.isArray(each);
  if (!value.every(isRow)) return undefined;
  const names = Object.keys(value[0] as object);
  const isSame = value.every(
    (row) => Object.keys(row).length === names.length && names.every((name) => name in row),
  );
  if (!isSame || names.length === 0) return undefined;
  return { head: names, rows: value.map((row) => names.map((name) => asText(row[name]))) };
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

interface Line {
  readonly index: number;
  readonly cells: readonly string[];
}

const CHARACTER = 7.5;
const SAMPLE = 50;

/** `firstRow` is how many rows of the file come before these. */
export function TableView({ table, firstRow = 0 }: { table: FileTable; firstRow?: number }) {
  const [order, setOrder] = useState<{ column: number; isDescending: boolean }>();
  const facts = useMemo(() => factsOf(table), [table]);
  const rows = useMemo(() => {
    const lines: Line[] = table.rows.map((cells, index) => ({ index, cells }));
    if (order)
      lines.sort(comparing(order.column, facts[order.column]?.isNumber ?? false, order.isDescending));
    return new Rows<Line>(async (offset, limit) => ({
      total: lines.length,
      rows: lines.slice(offset, offset + limit),
    }));
  }, [table, order]);
  const columns = useMemo((): GridColumn<Line>[] => {
    const number: GridColumn<Line> = {
      key: "#",
      title: "#",
      isNumber: true,
      width: 24 + String(firstRow + table.rows.length).length * CHARACTER,
      pinned: true,
      cell: (row) => <span class="quiet">{firstRow + row.index + 1}</span>,
    };
    const others = table.head.map((title, index): GridColumn<Line> => {
      const isMine = order?.column === index;
      return {
        key: String(index),
        title: visibleLine(title) || `column ${index + 1}`,
        isNumber: facts[index]?.isNumber ?? false,
        width: facts[index]?.width ?? 100,
        pinned: false,
        sorted: isMine ? (order.isDescending ? "descending" : "ascending") : undefined,
        onSort: () =>
          setOrder(
            isMine
              ? order.isDescending
                ? undefined
                : { column: index, isDescending: true }
              : { column: index, isDescending: false },
          ),
        cell: (row) => {
          const text = row.cells[index] ?? "";
          return (
            <span title={text.length > 12 ? text.slice(0, 2000) : undefined}>
              {visibleLine(text.slice(0, 500))}
            </span>
          );
        },
      };
    });
    return [number, ...others];
  }, [table, order, facts, firstRow]);
  if (table.head.length === 0) return <p class="quiet">There are no rows.</p>;
  return (
    <>
      <p class="quiet">
        {count(table.rows.length)} {table.rows.length === 1 ? "row" : "rows"}, {count(table.head.length)}{" "}
        {table.head.length === 1 ? "column" : "columns"}
      </p>
      <div class="file-table">
        <Grid label="Rows of the file" rows={rows} columns={columns} rowKey={(row) => String(row.index)} />
      </div>
    </>
  );
}

function factsOf(table: FileTable): { isNumber: boolean; width: number }[] {
  const sample = table.rows.slice(0, SAMPLE);
  return table.head.map((title, index) => {
    const cells = sample.map((row) => row[index] ?? "").filter((cell) => cell !== "");
    const longest = Math.max(title.length, ...cells.map((cell) => cell.length));
    return {
      isNumber: cells.length > 0 && cells.every((cell) => NUMBER.test(cell)),
      width: Math.round(Math.min(360, Math.max(64, 24 + longest * CHARACTER))),
    };
  });
}

function comparing(column: number, isNumber: boolean, isDescending: boolean) {
  const sign = isDescending ? -1 : 1;
  const words = new Intl.Collator("en", { numeric: true });
  return (a: Line, b: Line): number => {
    const left = a.cells[column] ?? "";
    const right = b.cells[column] ?? "";
    // what is not there comes last, whatever the direction
    if (left === "" || right === "") return Number(left === "") - Number(right === "");
    return sign * (isNumber ? Number(left) - Number(right) : words.compare(left, right)) || a.index - b.index;
  };
}
