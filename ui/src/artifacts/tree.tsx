/** Folders and files as a tree: a folder is read when it is opened, and a large one shown page by page. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { again } from "../api/again";
import { ApiError } from "../api/request";
import { Empty, Failure, Skeleton } from "../app/states";
import { bytes, count } from "../lib/format";
import { visibleLine } from "../lib/visible";
import type { ArtifactSource, Entry } from "./source";

const PAGE = 200;

interface Folder {
  readonly entries: readonly Entry[] | undefined;
  readonly error: ApiError | undefined;
  readonly shown: number;
}

/** A line of the tree as it is drawn: an entry, or the way to more of a folder. */
interface Line {
  readonly key: string;
  readonly depth: number;
  readonly entry: Entry | undefined;
  /** Of what folder this shows more, or of which it says that it waits or failed. */
  readonly folder: string;
  readonly text: string;
}

interface Props {
  readonly source: ArtifactSource;
  readonly chosen: string | undefined;
  readonly onChoose: (entry: Entry) => void;
}

export function ArtifactTree({ source, chosen, onChoose }: Props) {
  const folders = useSignal<ReadonlyMap<string, Folder>>(new Map());
  const open = useSignal<ReadonlySet<string>>(new Set([""]));
  const active = useSignal(chosen ?? "");
  const tree = useRef<HTMLDivElement>(null);

  const read = async (folder: string, abort?: AbortSignal) => {
    const put = (found: Folder) => {
      folders.value = new Map(folders.peek()).set(folder, found);
    };
    try {
      put({ entries: await source.list(folder, abort), error: undefined, shown: PAGE });
    } catch (error) {
      if (abort?.aborted) return;
      const failure = error instanceof ApiError ? error : new ApiError(String(error), -1, "");
      put({ entries: undefined, error: failure, shown: PAGE });
      retry.failed(failure);
    }
  };
  const retry = useMemo(
    () =>
      again(() => {
        for (const [folder, { error }] of folders.peek()) if (error) void read(folder);
      }),
    [source.key],
  );
  const toggle = (folder: string, isOpen: boolean) => {
    const next = new Set(open.peek());
    if (isOpen) next.add(folder);
    else next.delete(folder);
    open.value = next;
    if (isOpen && !folders.peek().get(folder)?.entries) void read(folder);
  };
  useEffect(() => {
    const abort = new AbortController();
    // the folders that the chosen file is in
    const above = (chosen ?? "").split("/").slice(0, -1);
    const wanted = ["", ...above.map((_, index) => above.slice(0, index + 1).join("/"))];
    open.value = new Set([...open.peek(), ...wanted]);
    for (const folder of wanted) if (!folders.peek().get(folder)?.entries) void read(folder, abort.signal);
    return () => {
      abort.abort();
      retry.settled();
    };
  }, [source.key]);

  const root = folders.value.get("");
  if (root?.error) return <Failure error={root.error} retry={() => void read("")} />;
  if (!root) return <Skeleton lines={4} />;
  if (root.entries?.length === 0)
    return (
      <Empty title="No files">
        <p>
          <code>slipstream.log_artifact("file.txt")</code> puts one here.
        </p>
      </Empty>
    );

  const lines = linesOf(folders.value, open.value);
  const at = Math.max(
    0,
    lines.findIndex((line) => line.key === active.value),
  );
  const move = (index: number) => {
    const next = lines[Math.max(0, Math.min(lines.length - 1, index))];
    if (!next) return;
    active.value = next.key;
    requestAnimationFrame(() =>
      tree.current?.querySelector("[data-active]")?.scrollIntoView({ block: "nearest" }),
    );
  };
  const act = (line: Line) => {
    active.value = line.key;
    if (!line.entry) {
      const folder = folders.peek().get(line.folder);
      if (folder?.error) void read(line.folder);
      else if (folder)
        folders.value = new Map(folders.peek()).set(line.folder, {
          ...folder,
          shown: folder.shown + 5 * PAGE,
        });
    } else if (line.entry.isFolder) toggle(line.entry.path, !open.peek().has(line.entry.path));
    else onChoose(line.entry);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const line = lines[at];
    if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
    const isOpen = line.entry?.isFolder && open.value.has(line.entry.path);
    if (event.key === "ArrowDown" || event.key === "j") move(at + 1);
    else if (event.key === "ArrowUp" || event.key === "k") move(at - 1);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(lines.length - 1);
    else if (event.key === "Enter" || event.key === " ") act(line);
    else if (event.key === "ArrowRight" && line.entry?.isFolder) {
      if (isOpen) move(at + 1);
      else toggle(line.entry.path, true);
    } else if (event.key === "ArrowLeft") {
      if (isOpen && line.entry) toggle(line.entry.path, false);
      else move(lines.findLastIndex((each, index) => index < at && each.depth < line.depth));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={tree}
      class="tree"
      role="tree"
      aria-label="Files"
      tabIndex={0}
      aria-activedescendant={`tree-${at}`}
      onKeyDown={onKeyDown}
    >
      {lines.map((line, index) => {
        const isFolder = line.entry?.isFolder;
        const isOpen = isFolder && open.value.has(line.entry?.path ?? "");
        return (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the tree's
          <div
            key={line.key}
            id={`tree-${index}`}
            role="treeitem"
            aria-level={line.depth + 1}
            aria-expanded={isFolder ? !!isOpen : undefined}
            aria-selected={line.entry?.path === chosen && !isFolder}
            data-active={index === at ? "" : undefined}
            class={index === at ? "active" : undefined}
            style={{ paddingLeft: `${8 + line.depth * 16}px` }}
            title={line.entry ? visibleLine(line.entry.path) : undefined}
            onClick={() => act(line)}
          >
            <span class="mark" aria-hidden="true">
              {isFolder ? (isOpen ? "▾" : "▸") : ""}
            </span>
            <span class="file-name">{line.text}</span>
            {line.entry?.size !== undefined && <span class="quiet">{bytes(line.entry.size)}</span>}
          </div>
        );
      })}
    </div>
  );
}

function linesOf(folders: ReadonlyMap<string, Folder>, open: ReadonlySet<string>): Line[] {
  const lines: Line[] = [];
  const add = (path: string, depth: number) => {
    const folder = folders.get(path);
    const say = (text: string) =>
      lines.push({ key: `${path}\n${text}`, depth, entry: undefined, folder: path, text });
    if (!folder) return void say("…");
    if (folder.error) return void say(`${folder.error.message} Try again.`);
    const entries = folder.entries ?? [];
    if (entries.length === 0) return void say("empty");
    for (const entry of entries.slice(0, folder.shown)) {
      const name = visibleLine(entry.path.slice(entry.path.lastIndexOf("/") + 1));
      lines.push({ key: entry.path, depth, entry, folder: path, text: name });
      if (entry.isFolder && open.has(entry.path)) add(entry.path, depth + 1);
    }
    if (entries.length > folder.shown)
      say(`more: ${count(folder.shown)} of ${count(entries.length)} are shown`);
  };
  add("", 0);
  return lines;
}
