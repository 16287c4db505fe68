"""The empty page in which the web UI shows pages that runs logged.

What a run logged must not act as a page of this server, and yet a report should look as it was made. So the UI puts it into a
frame that this page fills. The page is in a sandbox of its own origin, whoever opens it, and may load nothing and ask nobody;
it has no data until the UI sends it some, so it is sent without a token. A frame's content cannot be given these rules by the
page around it: that one's own rules, which allow no styles within a page, would hold for it.
"""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import Response

PATH = "/artifact-frame"

_FILL_STILL = """
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data?.slipstreamPage !== "string") return;
  // a base would be asked about, and refused, while it is read
  const page = new DOMParser().parseFromString(event.data.slipstreamPage.replace(/<base/gi, "<x-base"), "text/html");
  for (const each of page.querySelectorAll("script, iframe, frame, object, embed, base, meta, link, form")) {
    if (each.localName === "form") each.replaceWith(...each.childNodes);
    else each.remove();
  }
  for (const each of page.querySelectorAll("*"))
    for (const { name, value } of [...each.attributes])
      if (/^(on|autofocus)/i.test(name) || (/^(href|src|srcset|action|formaction|background|poster|data|ping|to|from|values|xlink:href)$/i.test(name)
          && !/^(#|data:image\\/(png|jpeg|gif|webp|svg\\+xml)[;,])/i.test(value))) each.removeAttribute(name);
  const plain = (css) => css.replace(/@import[^;]*;?/gi, "").replace(/url\\((?!\\s*["']?data:)[^)]*\\)/gi, "none");
  for (const each of page.querySelectorAll("style")) each.textContent = plain(each.textContent);
  for (const each of page.querySelectorAll("[style]")) each.setAttribute("style", plain(each.getAttribute("style")));
  document.replaceChild(document.adoptNode(page.documentElement), document.documentElement);
  const tell = () => parent.postMessage(document.documentElement.scrollHeight, "*");
  new ResizeObserver(tell).observe(document.documentElement);
  tell();
});
parent.postMessage("slipstream-frame-is-ready", "*");
"""
"""Takes all that acts out of the page first. What it overlooks is stopped by the rules."""
_FILL_LIVE = """
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data?.slipstreamPage !== "string") return;
  document.open();
  document.write(event.data.slipstreamPage);
  document.close();
});
parent.postMessage("slipstream-frame-is-ready", "*");
"""
_RULES = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; "
    "media-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; script-src "
)


def _page(script: str) -> bytes:
    style = "<style>html{color-scheme:light;background:#fff;font:13px/1.45 system-ui,sans-serif}</style>"
    return f"<!doctype html><html lang=en><title>Page</title>{style}<script>{script}</script></html>".encode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


_STILL = (_page(_FILL_STILL), _RULES + _hash(_FILL_STILL))
_LIVE = (_page(_FILL_LIVE), _RULES + "'unsafe-inline' 'unsafe-eval' data: blob:; worker-src blob:")


async def artifact_frame(request: Request) -> Response:
    """Send the empty page; with `scripts=1` the one in which scripts run."""
    content, rules = _LIVE if request.query_params.get("scripts") == "1" else _STILL
    headers = {
        "content-security-policy": rules,
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }
    return Response(content, media_type="text/html", headers=headers)
