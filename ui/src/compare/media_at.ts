/** Which file of a run is shown at a step that other runs have. */

import type { MediaFile } from "../charts/media_files";

/** All steps at which any of them has a file, in order. */
export const stepsOf = (lists: readonly (readonly MediaFile[])[]): number[] =>
  [...new Set(lists.flatMap((files) => files.map((file) => file.step)))].sort((one, other) => one - other);

/** The last file of the nearest step at or before; `files` are in order. */
export const upTo = (files: readonly MediaFile[], step: number): MediaFile | undefined =>
  files[files.findLastIndex((file) => file.step <= step)];
