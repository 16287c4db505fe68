/** A logged page: still at first, with its scripts if one asks for them. */

import { signal } from "@preact/signals";
import { SealedFrame } from "./sealed_frame";

/** Pages whose scripts may run until this one is loaded anew: another run's page of that name is another. */
const live = signal<ReadonlySet<string>>(new Set());

export function HtmlView({ html, title }: { html: string; title: string }) {
  const isLive = live.value.has(html);
  const hasScripts = /<script|\son\w+\s*=/i.test(html);
  const change = () => {
    const next = new Set(live.value);
    if (!next.delete(html)) next.add(html);
    live.value = next;
  };
  return (
    <div class="html-view">
      {hasScripts && (
        <p class="cut" role="note">
          {isLive
            ? "Its scripts run, sealed off: they reach neither this server nor the network."
            : "This page has scripts, which do not run yet. They would be sealed off from this server and the network."}{" "}
          <button type="button" onClick={change}>
            {isLive ? "Stop them" : "Run its scripts"}
          </button>
        </p>
      )}
      <SealedFrame html={html} title={title} scripts={isLive} />
    </div>
  );
}
