/** The files of a run or model: a tree, and beside it the file that is chosen, which is in the address. */

import { useSignal } from "@preact/signals";
import { CopyBlock } from "../app/copy";
import { query, setQuery } from "../app/router";
import { Preview } from "./preview";
import type { ArtifactSource } from "./source";
import { ArtifactTree } from "./tree";

export function ArtifactBrowser({ source }: { source: ArtifactSource }) {
  const chosen = query.value.get("file") ?? undefined;
  /** How often the list was read: what goes on writes more files. */
  const round = useSignal(0);
  /** Of the file that was chosen in the tree; Back may show another one. */
  const size = useSignal<{ path: string; size: number | undefined } | undefined>(undefined);
  return (
    <div class="artifacts">
      <nav class="artifact-tree" aria-label="Files">
        <ArtifactTree
          key={round.value}
          source={source}
          chosen={chosen}
          onChoose={(entry) => {
            size.value = entry;
            setQuery({ file: entry.path }, {});
          }}
        />
        <button type="button" class="plain" onClick={() => round.value++}>
          Read the list again
        </button>
      </nav>
      {chosen === undefined ? (
        <div class="preview quiet-preview">
          <p class="quiet">Choose a file to look at it here. All of them:</p>
          <CopyBlock label="Download all files" text={source.command("")} />
        </div>
      ) : (
        <Preview
          key={chosen}
          source={source}
          path={chosen}
          size={size.value?.path === chosen ? size.value.size : undefined}
        />
      )}
    </div>
  );
}
