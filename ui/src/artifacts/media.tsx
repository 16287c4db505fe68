/** Images, sound, films and PDF, from bytes that were fetched with the token. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { typeOf } from "./kinds";

/** An address of bytes in this page, of a type that we chose and nobody else. */
export function useBlobUrl(bytes: Uint8Array<ArrayBuffer>, type: string): string {
  const url = useMemo(() => URL.createObjectURL(new Blob([bytes], { type })), [bytes, type]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return url;
}

interface Given {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function ImageView({ path, bytes }: Given) {
  const url = useBlobUrl(bytes, typeOf(path) ?? "image/png");
  const [size, setSize] = useState<{ width: number; height: number }>();
  const [isBroken, setBroken] = useState(false);
  const [isFull, setFull] = useState(false);
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (isBroken) return <p>The browser cannot show this image. Its content may not be what its name says.</p>;
  const isTiny = size && size.width <= 64 && size.height <= 64;
  return (
    <figure class="image-view">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div class="scrolls" tabIndex={0} role="region" aria-label="Image">
        <img
          src={url}
          alt={name}
          class={`${isFull ? "full" : "fitted"}${isTiny ? " tiny" : ""}`}
          onLoad={(event) =>
            setSize({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight })
          }
          onError={() => setBroken(true)}
        />
      </div>
      <figcaption>
        {size && (
          <span class="quiet">
            {size.width} × {size.height}
          </span>
        )}
        <button type="button" aria-pressed={isFull} onClick={() => setFull(!isFull)}>
          Full size
        </button>
      </figcaption>
    </figure>
  );
}

export function PlayerView({
  path,
  kind,
  bytes,
  url,
}: Given & { kind: "audio" | "video"; url: string | undefined }) {
  const blob = useBlobUrl(bytes, typeOf(path) ?? "");
  const [isBroken, setBroken] = useState(false);
  if (isBroken) return <p>The browser cannot play this file. Download it to play it elsewhere.</p>;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const shared = { controls: true, src: url ?? blob, "aria-label": name, onError: () => setBroken(true) };
  return kind === "audio" ? <audio {...shared} /> : <video {...shared} class="video" />;
}

export function PdfView({ path, bytes }: Given) {
  const isPdf = useMemo(
    () => new TextDecoder("latin1").decode(bytes.subarray(0, 1024)).includes("%PDF-"),
    [bytes],
  );
  const url = useBlobUrl(bytes, "application/pdf");
  if (!isPdf) return <p>This is not a PDF, whatever its name says.</p>;
  return (
    <>
      <p>
        <a class="button" href={url} target="_blank" rel="noopener" data-leave>
          Open it in a tab
        </a>
      </p>
      {navigator.pdfViewerEnabled ? (
        <iframe class="pdf" title={path} src={url} />
      ) : (
        <p class="quiet">This browser shows no PDF within a page.</p>
      )}
    </>
  );
}
