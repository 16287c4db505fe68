/** What is in a ZIP archive, from the list at its end. */

export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly packed: number;
}

export interface ZipPlace {
  readonly start: number;
  readonly length: number;
  readonly entries: number;
}

/** The last record may be followed by a comment of this length. */
export const MOST_END = 65_557;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const ENTRY_HEAD = 46;

/** Where the list is, from the last bytes of the file; `undefined` if there is none, or it needs 64 bits. */
export function placeOfDirectory(end: Uint8Array): ZipPlace | undefined {
  const view = new DataView(end.buffer, end.byteOffset, end.length);
  for (let at = end.length - 22; at >= 0; at--) {
    if (view.getUint32(at, true) !== END) continue;
    const place = {
      entries: view.getUint16(at + 10, true),
      length: view.getUint32(at + 12, true),
      start: view.getUint32(at + 16, true),
    };
    return place.start === 0xffffffff || place.entries === 0xffff ? undefined : place;
  }
  return undefined;
}

export function readDirectory(bytes: Uint8Array, most: number): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: ZipEntry[] = [];
  let at = 0;
  while (at + ENTRY_HEAD <= bytes.length && found.length < most && view.getUint32(at, true) === ENTRY) {
    const length = view.getUint16(at + 28, true);
    const isUtf8 = (view.getUint16(at + 8, true) & 0x800) !== 0;
    const name = bytes.subarray(at + ENTRY_HEAD, at + ENTRY_HEAD + length);
    found.push({
      name: new TextDecoder(isUtf8 ? "utf-8" : "latin1").decode(name),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
    });
    at += ENTRY_HEAD + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return found;
}
