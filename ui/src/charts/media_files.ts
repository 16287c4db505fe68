/** The files of images, sounds and tables by step: which step of what each is. */

export interface MediaFile {
  readonly path: string;
  readonly key: string;
  readonly step: number;
  readonly time: number;
  readonly kind: "image" | "audio" | "table";
}

const KINDS: Readonly<Record<string, MediaFile["kind"]>> = {
  png: "image",
  jpg: "image",
  jpeg: "image",
  gif: "image",
  webp: "image",
  wav: "audio",
  mp3: "audio",
  ogg: "audio",
  flac: "audio",
  json: "table",
  csv: "table",
};

/** `undefined` for names that are not by step; a slash in a key is written as `#`. */
export function mediaFrom(path: string): MediaFile | undefined {
  const name = path.slice(path.indexOf("/") + 1);
  const parts = /^(.+?)([%+])step\2(\d+)\2timestamp\2(\d+)\2.*\.(\w+)$/.exec(name);
  const kind = KINDS[parts?.[5]?.toLowerCase() ?? ""];
  if (!parts || !kind) return undefined;
  return {
    path,
    key: (parts[1] as string).replaceAll("#", "/"),
    step: Number(parts[3]),
    time: Number(parts[4]),
    kind,
  };
}

/** By key, each in the order of steps; of the two forms of an image that MLflow stores, the whole one. */
export function mediaByKey(paths: readonly string[]): Map<string, MediaFile[]> {
  const found = new Map<string, Map<string, MediaFile>>();
  for (const path of paths) {
    const file = mediaFrom(path);
    if (!file) continue;
    const files = found.get(file.key) ?? new Map<string, MediaFile>();
    found.set(file.key, files);
    const place = `${file.step} ${file.time}`;
    if (!files.has(place) || !path.endsWith(".webp")) files.set(place, file);
  }
  return new Map(
    [...found]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, files]) => [
        key,
        [...files.values()].sort((one, other) => one.step - other.step || one.time - other.time),
      ]),
  );
}
