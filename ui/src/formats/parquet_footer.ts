/** What the end of a Parquet file says: its columns, how many rows there are, who wrote it. */

export interface ParquetColumn {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
  readonly depth: number;
}

export interface ParquetFacts {
  readonly rows: number;
  readonly groups: number;
  readonly columns: readonly ParquetColumn[];
  readonly writer: string;
}

export class ParquetError extends Error {}

/** How long the footer is, from the last 8 bytes of the file. */
export function footerLength(end: Uint8Array): number {
  const at = end.length - 8;
  const mark = new TextDecoder("latin1").decode(end.subarray(at + 4));
  if (at < 0 || mark !== "PAR1")
    throw new ParquetError(mark === "PARE" ? "The file is encrypted." : "This is not a Parquet file.");
  return new DataView(end.buffer, end.byteOffset + at, 4).getUint32(0, true);
}

const PHYSICAL = ["boolean", "int32", "int64", "int96", "float", "double", "bytes", "fixed bytes"];
const LOGICAL: Record<number, string> = {
  1: "string",
  2: "map",
  3: "list",
  4: "enum",
  5: "decimal",
  6: "date",
  7: "time",
  8: "timestamp",
  11: "null",
  12: "json",
  13: "bson",
  14: "uuid",
  15: "float16",
};

type Value = number | boolean | Uint8Array | Value[] | Struct;
type Struct = Map<number, Value>;

export function readFooter(bytes: Uint8Array): ParquetFacts {
  const about = new Compact(bytes).struct(0);
  const elements = (listAt(about, 2) as Struct[]).slice(1);
  const columns: ParquetColumn[] = [];
  // Elements are in the order of a walk through the tree, each with how many are below it.
  const left: number[] = [];
  for (const element of elements) {
    while (left.length && left.at(-1) === 0) left.pop();
    const depth = left.length;
    if (depth) (left[depth - 1] as number)--;
    const children = numberAt(element, 5);
    columns.push({
      name: textAt(element, 4),
      type: typeOf(element, children),
      isOptional: numberAt(element, 3) === 1,
      depth,
    });
    if (children > 0) left.push(children);
  }
  return {
    rows: numberAt(about, 3),
    groups: listAt(about, 4).length,
    columns,
    writer: textAt(about, 6),
  };
}

function typeOf(element: Struct, children: number): string {
  const logical = element.get(10);
  const name = logical instanceof Map ? LOGICAL[[...logical.keys()][0] ?? 0] : undefined;
  if (children > 0) return name ?? "group";
  const physical = PHYSICAL[numberAt(element, 1)] ?? "?";
  if (name === "decimal") return `decimal(${numberAt(element, 8)}, ${numberAt(element, 7)})`;
  if (name) return name;
  return numberAt(element, 6, -1) === 0 ? "string" : physical;
}

function numberAt(struct: Struct, id: number, otherwise = 0): number {
  const value = struct.get(id);
  return typeof value === "number" ? value : otherwise;
}

function textAt(struct: Struct, id: number): string {
  const value = struct.get(id);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
}

function listAt(struct: Struct, id: number): Value[] {
  const value = struct.get(id);
  return Array.isArray(value) ? value : [];
}

const DEEPEST = 40;

/** Thrift's compact protocol. */
class Compact {
  #at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  #byte(): number {
    const value = this.bytes[this.#at++];
    if (value === undefined) throw new ParquetError("The file's description is cut off.");
    return value;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1, turns = 0; turns < 10; turns++, scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new ParquetError("The file's description is damaged.");
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  #take(length: number): Uint8Array {
    if (this.#at + length > this.bytes.length) throw new ParquetError("The file's description is cut off.");
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  struct(depth: number): Struct {
    if (depth > DEEPEST) throw new ParquetError("The file's description is damaged.");
    const found: Struct = new Map();
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return found;
      const type = head & 15;
      id = head >> 4 ? id + (head >> 4) : this.#zigzag();
      found.set(id, type === 1 ? true : type === 2 ? false : this.#value(type, depth));
    }
  }

  #value(type: number, depth: number): Value {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1;
      case 3:
        return this.#byte();
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7:
        return new DataView(this.#take(8).slice().buffer).getFloat64(0, true);
      case 8:
        return this.#take(this.#varint());
      case 9:
      case 10: {
        const head = this.#byte();
        const size = head >> 4 === 15 ? this.#varint() : head >> 4;
        if (size > this.bytes.length) throw new ParquetError("The file's description is damaged.");
        return Array.from({ length: size }, () => this.#value(head & 15, depth + 1));
      }
      case 11: {
        const size = this.#varint();
        if (size > this.bytes.length) throw new ParquetError("The file's description is damaged.");
        const types = size ? this.#byte() : 0;
        return Array.from({ length: size }, () => [
          this.#value(types >> 4, depth + 1),
          this.#value(types & 15, depth + 1),
        ]);
      }
      case 12:
        return this.struct(depth + 1);
      default:
        throw new ParquetError("The file's description is damaged.");
    }
  }
}
