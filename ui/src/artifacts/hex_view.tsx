/** The beginning of what is no text. */

import { bytes as sized } from "../lib/format";

const SHOWN = 512;
const WIDTH = 16;
const SIGNS: readonly (readonly [start: readonly number[], what: string])[] = [
  [[0x50, 0x4b, 3, 4], "a ZIP archive, which files of PyTorch and NumPy (.npz) are, too"],
  [[0x1f, 0x8b], "compressed by gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "compressed by Zstandard"],
  [[0x89, 0x48, 0x44, 0x46], "HDF5"],
  [[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], "an array of NumPy"],
  [[0x80, 4], "a pickle; loading it runs what is in it"],
  [[0x80, 5], "a pickle; loading it runs what is in it"],
  [[0x80, 2], "a pickle; loading it runs what is in it"],
  [[0x41, 0x52, 0x52, 0x4f, 0x57, 0x31], "Arrow"],
];

export function HexView({ bytes, size }: { bytes: Uint8Array; size: number }) {
  if (size === 0) return <p class="quiet">The file is empty.</p>;
  const known = SIGNS.find(([start]) => start.every((byte, index) => bytes[index] === byte));
  const lines: string[] = [];
  for (let at = 0; at < Math.min(SHOWN, bytes.length); at += WIDTH) {
    const row = [...bytes.subarray(at, Math.min(at + WIDTH, SHOWN))];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(WIDTH * 3)} ${text}`);
  }
  return (
    <>
      <p>
        There is no preview for this kind of file{known ? ` (${known[1]})` : ""}: {sized(size)}. It begins so:
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre class="hex" tabIndex={0} role="region" aria-label="The first bytes">
        {lines.join("\n")}
      </pre>
    </>
  );
}
