/** A file, shown as what it is. */

import { useEffect, useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Boundary } from "../app/boundary";
import { CopyButton } from "../app/copy";
import { Failure, Skeleton } from "../app/states";
import { tellFailure } from "../app/toasts";
import { parseNotebook } from "../formats/notebook";
import { bytes } from "../lib/format";
import { visible, visibleLine } from "../lib/visible";
import { Markdown } from "../markdown/markdown";
import { Code } from "./code";
import { DiffView } from "./diff_view";
import { HexView } from "./hex_view";
import { HtmlView } from "./html_view";
import { JsonTree } from "./json_tree";
import { isBinary, type Kind, kindOf, languageOf } from "./kinds";
import { ImageView, PdfView, PlayerView } from "./media";
import { ModelCard } from "./model_card";
import { NotebookView } from "./notebook_view";
import { ParquetView } from "./parquet_view";
import { type ArtifactSource, type Content, download, plainUrl, readContent } from "./source";
import { TableView, tableOfJson, tableOfText } from "./table_view";
import { ZipView } from "./zip_view";

const MB = 1_000_000;
/** How much of a file is read; more is a matter for a download. */
const MOST: Partial<Record<Kind, number>> = {
  text: 0.5 * MB,
  markdown: 0.5 * MB,
  table: 5 * MB,
  json: 5 * MB,
  notebook: 20 * MB,
  html: 20 * MB,
  image: 50 * MB,
  svg: 10 * MB,
  pdf: 100 * MB,
  audio: 100 * MB,
  video: 200 * MB,
  parquet: 1,
  zip: 4096,
  other: 4096,
};
const MOST_ELSE = MB;

interface Props {
  readonly source: ArtifactSource;
  readonly path: string;
  readonly size: number | undefined;
}

export function Preview({ source, path, size }: Props) {
  const kind = kindOf(path);
  const isPlayed = (kind === "audio" || kind === "video") && plainUrl(source, path) !== undefined;
  const most = MOST[kind] ?? MOST_ELSE;
  const isAsSource = useState(false);
  const [asSource, setAsSource] = isAsSource;
  const content = useResource(`${source.key} ${path}`, async (abort): Promise<Content> => {
    if (isPlayed) return { bytes: new Uint8Array(), size: size ?? 0, isCut: false };
    return readContent(source, path, most, abort);
  });
  useEffect(() => setAsSource(false), [path]);
  const found = content.value.value;
  const whole = found?.size ?? size;
  const canBeSource = ["markdown", "json", "table", "html", "notebook", "svg", "model", "diff"].includes(
    kind,
  );
  return (
    <section class="preview" aria-label="File">
      <header class="preview-head">
        <h2 class="mono" title={path}>
          {visibleLine(path)}
        </h2>
        {whole !== undefined && <span class="quiet">{bytes(whole)}</span>}
        <span class="stretch" />
        {canBeSource && found && (
          <button type="button" aria-pressed={asSource} onClick={() => setAsSource(!asSource)}>
            Source
          </button>
        )}
        <CopyButton text={path} label="Copy the path" />
        <button type="button" onClick={() => download(source, path).catch(tellFailure)}>
          Download
        </button>
      </header>
      {found?.isCut && !["parquet", "zip", "other"].includes(kind) && (
        <p class="cut" role="note">
          The first {bytes(found.bytes.length)} of {bytes(found.size)}. Download the file for all of it.
        </p>
      )}
      {content.error.value ? (
        <Failure error={content.error.value} retry={content.reload} />
      ) : found ? (
        <Boundary key={`${path} ${asSource}`} what="This file">
          <Shown key={path} source={source} path={path} kind={asSource ? "text" : kind} content={found} />
        </Boundary>
      ) : (
        <Skeleton />
      )}
    </section>
  );
}

function Shown({
  source,
  path,
  kind,
  content,
}: {
  source: ArtifactSource;
  path: string;
  kind: Kind;
  content: Content;
}) {
  const { bytes: data, isCut, size } = content;
  const media = <Whole content={content} what={kind} />;
  switch (kind) {
    case "image":
    case "svg":
      return isCut ? media : <ImageView path={path} bytes={data} />;
    case "audio":
    case "video":
      return isCut ? media : <PlayerView path={path} kind={kind} bytes={data} url={plainUrl(source, path)} />;
    case "pdf":
      return isCut ? media : <PdfView path={path} bytes={data} />;
    case "parquet":
      return <ParquetView source={source} path={path} size={size} />;
    case "zip":
      return <ZipView source={source} path={path} size={size} start={data} />;
    case "other":
      return <HexView bytes={data} size={size} />;
  }
  if (size === 0) return <p class="quiet">The file is empty.</p>;
  if (!isUtf16(data) && isBinary(data)) return <HexView bytes={data} size={size} />;
  const text = decode(data);
  if (kind === "markdown") return <Markdown text={text} below={2} />;
  if (kind === "html") return <HtmlView html={text} title={path} />;
  if (kind === "diff") return <DiffView text={text} />;
  if (kind === "model") return <ModelCard text={text} source={source} path={path} />;
  if (kind === "notebook" && !isCut) {
    const notebook = parseNotebook(text);
    if (notebook) return <NotebookView notebook={notebook} />;
  }
  if (kind === "table") return <TableView table={tableOfText(text, path, isCut)} />;
  if (kind === "json" && !isCut) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      return (
        <>
          <p class="cut" role="note">
            This is not whole JSON: {visible(String((error as Error).message)).slice(0, 200)}
          </p>
          <Code text={text} language="json" label="Content" isNumbered />
        </>
      );
    }
    const table = tableOfJson(value);
    return table ? <TableView table={table} /> : <JsonTree value={value} />;
  }
  return <Code text={text} language={languageOf(path)} label="Content" isNumbered />;
}

function Whole({ content, what }: { content: Content; what: string }) {
  return (
    <p>
      This {what} has {bytes(content.size)}, more than is loaded into a page. Download it to look at it.
    </p>
  );
}

const isUtf16 = (data: Uint8Array) =>
  (data[0] === 0xff && data[1] === 0xfe) || (data[0] === 0xfe && data[1] === 0xff);

function decode(data: Uint8Array): string {
  if (data[0] === 0xff && data[1] === 0xfe) return new TextDecoder("utf-16le").decode(data);
  if (data[0] === 0xfe && data[1] === 0xff) return new TextDecoder("utf-16be").decode(data);
  return new TextDecoder().decode(data);
}
