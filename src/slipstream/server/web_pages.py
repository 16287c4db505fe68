"""The web UI's files: one page of HTML for every address of the UI, and what it loads.

They are built from `ui/` into `static/` (see hatch_build.py), each asset compressed and named after its content. They hold no
data, so they are sent to everybody who passes the checks of host and origin, without a token: the page asks for that.
"""

import gzip
import hashlib
import html
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from slipstream.server.artifact_frame import PATH as ARTIFACT_FRAME

STATIC = Path(__file__).parent / "static"
PAGES = ("experiments", "runs", "compare", "models", "serving", "settings")
"""First parts of the addresses that are pages of the UI."""
_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>slipstream</title>
<h1>slipstream</h1>
<p>This server runs, and its REST API answers. Its web pages were not built with it: in a checkout run
<code>make ui</code>; a package from PyPI has them.</p>
<p><a href="openapi.json">The REST API, as OpenAPI</a></p>
</html>"""
_ALLOWED = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'none'",
}
"""What a page may load and run: nothing but what comes from here, and no code in the page itself."""
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


class Asset(msgspec.Struct, frozen=True):
    content: bytes
    """Compressed by gzip."""
    content_type: str


class WebPages:
    """The built UI, read once: some hundred kilobytes."""

    def __init__(self, prefix: str, folder: Path = STATIC) -> None:
        """Read it; where nothing was built, every page says so."""
        self._assets: dict[str, Asset] = {}
        assets = folder / "assets"
        for path in sorted(assets.glob("*.gz")) if assets.is_dir() else ():
            name = path.name.removesuffix(".gz")
            self._assets[name] = Asset(path.read_bytes(), _TYPES[Path(name).suffix])
        index = folder / "index.html"
        self.is_built = bool(self._assets) and index.is_file()
        text = index.read_text("utf-8") if self.is_built else _NOT_BUILT
        base = html.escape(prefix.rstrip("/") + "/", quote=True)
        self._page = text.replace('<base href="/"', f'<base href="{base}"', 1).encode()
        self._page_compressed = gzip.compress(self._page, mtime=0)
        self._etag = f'"{hashlib.sha256(self._page).hexdigest()[:20]}"'

    def is_open(self, method: str, path: str) -> bool:
        """Tell whether something is sent without a token, since it holds no data."""
        return method in ("GET", "HEAD") and (
            path.startswith("/assets/") or path == ARTIFACT_FRAME or self.is_page(path)
        )

    def is_page(self, path: str) -> bool:
        return path == "/" or (path.startswith("/") and path.split("/", 2)[1] in PAGES)

    async def page(self, request: Request) -> Response:
        """Send the page, which looks at its address itself."""
        headers = {
            "content-security-policy": "; ".join(f"{what} {where}" for what, where in _ALLOWED.items()),
            "cache-control": "no-cache",
            "referrer-policy": "same-origin",
            "etag": self._etag,
            "vary": "accept-encoding",
        }
        if request.headers.get("if-none-match") == self._etag:
            return Response(status_code=304, headers=headers)
        if _takes_gzip(request):
            return Response(
                self._page_compressed, media_type="text/html", headers={**headers, "content-encoding": "gzip"}
            )
        return Response(self._page, media_type="text/html", headers=headers)

    async def asset(self, request: Request) -> Response:
        """Send a file of the UI; its name changes with its content, so browsers keep it."""
        found = self._assets.get(request.path_params["name"])
        if found is None:
            return Response("There is no such file. Load the page anew.", 404, media_type="text/plain")
        headers = {
            "cache-control": _FOR_EVER,
            "content-type": found.content_type,
            "vary": "accept-encoding",
        }
        if _takes_gzip(request):
            return Response(found.content, headers={**headers, "content-encoding": "gzip"})
        return Response(gzip.decompress(found.content), headers=headers)


def _takes_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").split(","):
        name, _, quality = part.strip().partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
