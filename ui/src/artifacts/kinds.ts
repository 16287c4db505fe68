/** How a file is shown, by its name; what is in it has the last word where that is known. */

export type Kind =
  | "text"
  | "markdown"
  | "json"
  | "yaml"
  | "table"
  | "parquet"
  | "image"
  | "svg"
  | "audio"
  | "video"
  | "pdf"
  | "html"
  | "notebook"
  | "model"
  | "diff"
  | "zip"
  | "other";

const BY_ENDING: Record<string, Kind> = {
  md: "markdown",
  markdown: "markdown",
  json: "json",
  geojson: "json",
  yaml: "yaml",
  yml: "yaml",
  csv: "table",
  tsv: "table",
  parquet: "parquet",
  svg: "svg",
  pdf: "pdf",
  html: "html",
  htm: "html",
  xhtml: "html",
  ipynb: "notebook",
  patch: "diff",
  diff: "diff",
  zip: "zip",
  whl: "zip",
  egg: "zip",
  jar: "zip",
  npz: "zip",
  pt: "zip",
  pth: "zip",
  keras: "zip",
};
const TYPES: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  bmp: "image/bmp",
  ico: "image/x-icon",
  avif: "image/avif",
  svg: "image/svg+xml",
  wav: "audio/wav",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  oga: "audio/ogg",
  opus: "audio/ogg",
  flac: "audio/flac",
  m4a: "audio/mp4",
  aac: "audio/aac",
  mp4: "video/mp4",
  m4v: "video/mp4",
  webm: "video/webm",
  mov: "video/quicktime",
  ogv: "video/ogg",
  pdf: "application/pdf",
};
const TEXTS = new Set(
  "txt log err out py pyi r rmd sh bash sql js ts jsx tsx java go rs c h cc cpp hpp scala kt cu jsonl ndjson toml ini cfg conf properties env xml tex bib css rst lock dockerfile makefile gitignore proto cmake lua jl m".split(
    " ",
  ),
);
/** Of things that are never text. */
const BINARY = new Set(
  "pkl pickle joblib bin safetensors onnx h5 hdf5 npy gz tar tgz bz2 xz zst 7z so dll exe ckpt pb tflite arrow feather orc avro db sqlite index model ubj".split(
    " ",
  ),
);

export function endingOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return (dot >= 0 ? name.slice(dot + 1) : name).toLowerCase();
}

export function typeOf(path: string): string | undefined {
  const ending = endingOf(path);
  return Object.hasOwn(TYPES, ending) ? TYPES[ending] : undefined;
}

export function kindOf(path: string): Kind {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const ending = endingOf(path);
  if (name === "MLmodel") return "model";
  if (Object.hasOwn(BY_ENDING, ending)) return BY_ENDING[ending] as Kind;
  const type = typeOf(path);
  if (type?.startsWith("image/")) return "image";
  if (type?.startsWith("audio/")) return "audio";
  if (type?.startsWith("video/")) return "video";
  return TEXTS.has(ending) || !BINARY.has(ending) ? "text" : "other";
}

/** The name of a language for colours. */
export function languageOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (name.endsWith(".lock") || name.startsWith("requirements")) return "txt_requirements";
  return endingOf(path);
}

/** Whether bytes are no text: zeros, or many that no encoding of text has. */
export function isBinary(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 4096);
  let strange = 0;
  for (const byte of start) {
    if (byte === 0) return true;
    if (byte < 9 || (byte > 13 && byte < 32 && byte !== 27)) strange++;
  }
  return strange > start.length / 20;
}
