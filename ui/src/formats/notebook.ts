/** A Jupyter notebook as cells, whatever is wrong in it. */

export interface NotebookOutput {
  readonly kind: "text" | "error" | "image" | "html" | "markdown" | "json";
  readonly text: string;
  /** Of images. */
  readonly type?: string;
}

export interface NotebookCell {
  readonly kind: "code" | "markdown" | "raw";
  readonly source: string;
  readonly count: number | undefined;
  readonly outputs: readonly NotebookOutput[];
}

export interface Notebook {
  readonly language: string;
  readonly cells: readonly NotebookCell[];
}

type Json = Record<string, unknown>;
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Lines or one text. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return list(value)
    .filter((each) => typeof each === "string")
    .join("");
}

export function parseNotebook(text: string): Notebook | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(read)) return undefined;
  // version 3 had sheets
  const cells = Array.isArray(read.cells)
    ? read.cells
    : list(read.worksheets).flatMap((sheet) => (isObject(sheet) ? list(sheet.cells) : []));
  if (cells.length === 0 && !("nbformat" in read)) return undefined;
  const about = isObject(read.metadata) ? read.metadata : {};
  const language = isObject(about.language_info) ? textOf(about.language_info.name) : "";
  return { language: language || "python", cells: cells.filter(isObject).map(cellOf) };
}

function cellOf(cell: Json): NotebookCell {
  const kind = cell.cell_type === "code" ? "code" : cell.cell_type === "markdown" ? "markdown" : "raw";
  return {
    kind,
    source: textOf(cell.source ?? cell.input),
    count: typeof cell.execution_count === "number" ? cell.execution_count : undefined,
    outputs: kind === "code" ? list(cell.outputs).filter(isObject).flatMap(outputOf) : [],
  };
}

function outputOf(output: Json): NotebookOutput[] {
  if (output.output_type === "stream") return [{ kind: "text", text: textOf(output.text) }];
  if (output.output_type === "error" || output.output_type === "pyerr") {
    const trace = list(output.traceback).map(textOf).join("\n");
    return [{ kind: "error", text: trace || `${textOf(output.ename)}: ${textOf(output.evalue)}` }];
  }
  const data = isObject(output.data) ? output.data : {};
  for (const type of IMAGES) {
    const content = textOf(data[type]).replace(/\s/g, "");
    if (content && /^[A-Za-z0-9+/]+=*$/.test(content)) return [{ kind: "image", text: content, type }];
  }
  if (data["image/svg+xml"])
    return [{ kind: "image", text: textOf(data["image/svg+xml"]), type: "image/svg+xml" }];
  if (data["text/html"]) return [{ kind: "html", text: textOf(data["text/html"]) }];
  if (data["text/markdown"]) return [{ kind: "markdown", text: textOf(data["text/markdown"]) }];
  if (data["application/json"] !== undefined)
    return [{ kind: "json", text: JSON.stringify(data["application/json"]) }];
  const plain = textOf(data["text/plain"] ?? output.text);
  return plain ? [{ kind: "text", text: plain }] : [];
}
