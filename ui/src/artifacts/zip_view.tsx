/** What is in an archive, without unpacking it. */

import { useResource } from "../api/resource";
import { Failure, Skeleton } from "../app/states";
import { MOST_END, placeOfDirectory, readDirectory } from "../formats/zip_directory";
import { bytes, count } from "../lib/format";
import { HexView } from "./hex_view";
import { type ArtifactSource, readPart } from "./source";
import { TableView } from "./table_view";

const MOST_ENTRIES = 20_000;
const MOST_LENGTH = 4_000_000;

interface Props {
  readonly source: ArtifactSource;
  readonly path: string;
  readonly size: number;
  /** Shown if it is no archive after all. */
  readonly start: Uint8Array;
}

export function ZipView({ source, path, size, start }: Props) {
  const found = useResource(`${source.key} ${path}`, async (abort) => {
    if (size === 0) return undefined;
    const end = await readPart(source, path, `-${Math.min(size, MOST_END)}`, abort);
    const place = placeOfDirectory(end.bytes);
    if (!place || place.length === 0 || place.length > MOST_LENGTH || place.start + place.length > size)
      return undefined;
    const list = await readPart(source, path, `${place.start}-${place.start + place.length - 1}`, abort);
    const entries = readDirectory(list.bytes, MOST_ENTRIES);
    return { total: place.entries, entries };
  });
  if (found.error.value) return <Failure error={found.error.value} retry={found.reload} />;
  if (found.isLoading.value) return <Skeleton lines={4} />;
  const { total, entries } = found.value.value ?? { total: 0, entries: [] };
  if (entries.length === 0) return <HexView bytes={start} size={size} />;
  return (
    <>
      <p>
        An archive of {count(total)} {total === 1 ? "entry" : "entries"},{" "}
        {bytes(entries.reduce((sum, entry) => sum + entry.size, 0))} unpacked.
        {entries.length < total && ` The first ${count(entries.length)} are shown.`}
      </p>
      <TableView
        table={{
          head: ["name", "bytes", "packed"],
          rows: entries.map((entry) => [entry.name, String(entry.size), String(entry.packed)]),
        }}
      />
    </>
  );
}
