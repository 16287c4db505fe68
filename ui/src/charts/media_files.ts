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

/** A place among files as it stands in the address: its step, and which of that step it is where it is not the last of it. */
export function placeText(files: readonly MediaFile[], place: number): string {
  const step = (files[place] as MediaFile).step;
  const first = files.findIndex((file) => file.step === step);
  return files[place + 1]?.step === step ? `${step}+${place - first}` : String(step);
}

/** The place that a text means: where that step is not there, the last before it; without a text, the last of all. */
export function placeOf(files: readonly MediaFile[], text: string | undefined): number {
  const [step, which] = (text ?? "").split("+");
  if (!step || Number.isNaN(Number(step))) return files.length - 1;
  const last = Math.max(
    0,
    files.findLastIndex((file) => file.step <= Number(step)),
  );
  if (which === undefined) return last;
  const first = files.findIndex((file) => file.step === (files[last] as MediaFile).step);
  return Math.min(last, first + Number(which) || 0);
}
