/**
 * A page that somebody logged, shown without it being able to do anything here.
 *
 * It is drawn in a frame of an origin of its own that the server sends empty, with rules that let it load nothing and ask
 * nobody. Without `scripts` nothing of it runs either.
 */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { serverUrl } from "../api/request";

interface Props {
  readonly html: string;
  readonly title: string;
  readonly scripts?: boolean;
  /** As high as what is in it, up to this. */
  readonly mostHeight?: number;
}

export function SealedFrame({ html, title, scripts = false, mostHeight }: Props) {
  const frame = useRef<HTMLIFrameElement>(null);
  /** As high as it says that it is, once it is drawn. */
  const [height, setHeight] = useState<number>();
  // Before the frame can say that it is ready, which it says once: on a busy machine an effect after painting came too late.
  useLayoutEffect(() => {
    let isFilled = false;
    const listen = (event: MessageEvent<unknown>) => {
      if (event.source !== frame.current?.contentWindow) return;
      if (event.data === "slipstream-frame-is-ready" && !isFilled) {
        isFilled = true;
        // the frame has no origin that could be named
        frame.current?.contentWindow?.postMessage({ slipstreamPage: html }, "*");
      } else if (typeof event.data === "number" && Number.isFinite(event.data)) setHeight(event.data);
    };
    addEventListener("message", listen);
    return () => removeEventListener("message", listen);
  }, [html, scripts]);
  return (
    <iframe
      key={scripts ? "live" : "still"}
      ref={frame}
      class="sealed"
      title={title}
      sandbox="allow-scripts"
      referrerpolicy="no-referrer"
      src={serverUrl(scripts ? "artifact-frame?scripts=1" : "artifact-frame")}
      data-drawn={height !== undefined}
      style={
        mostHeight ? { height: `${Math.min(mostHeight, Math.max(24, Math.ceil(height ?? 0)))}px` } : undefined
      }
    />
  );
}
