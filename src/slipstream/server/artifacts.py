"""Routes that carry bytes: the artifact proxy, downloads of run and model files, uploads from the UI.

Everything is streamed: memory does not depend on the size of a file. Paths are taken from the URL as it
was sent and decoded exactly once, then pass through the one canonicaliser.
"""

import asyncio
import mimetypes
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from slipstream.api.routing import API, AJAX, Permission
from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.paths import clean_path
from slipstream.errors import (
    BadRequestError,
    InvalidParameterError,
    NotFoundError,
    NotImplementedByServerError,
    SlipstreamError,
)
from slipstream.server.context import ServerContext

CHUNK = 1024 * 1024
UPLOAD_LIMIT = 10 * 1024 * 1024
_WAITING_CHUNKS = 4

_PROXIES = tuple(f"{base.removesuffix('mlflow/')}mlflow-artifacts/" for base in (API, AJAX))
_TEXT_SUFFIXES = frozenset(
    ".txt .log .json .jsonl .yaml .yml .csv .tsv .md .rst .py .r .rmd .ipynb .sh .sql .js .ts .java .go .rs .c .h "
    ".cpp .hpp .scala .toml .ini .cfg .conf .xml .env .tex .bib .css".split()
)
_TEXT_NAMES = frozenset({"MLmodel", "MLproject", "mlproject"})
_DEACTIVATED = frozenset({"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"})

Endpoint = Callable[[Request], Awaitable[Response]]


class ArtifactRoute(Route):
    """A Starlette route that declares what its caller must be allowed to do."""

    def __init__(self, method: str, path: str, permission: Permission, endpoint: Endpoint) -> None:
        super().__init__(path, _answering_errors(endpoint), methods=[method])
        self.permission = permission


def artifact_routes(context: ServerContext) -> list[Route]:
    """Return all routes of this file, bound to a server's artifact roots."""
    a = _Artifacts(context)
    routes: list[Route] = []
    for proxy in _PROXIES:
        for action in ("create", "complete", "abort"):
            routes.append(ArtifactRoute("POST", proxy + f"mpu/{action}/{{path:path}}", Permission.WRITE, a.multipart))
        routes += [
            ArtifactRoute("GET", proxy + "presigned/{path:path}", Permission.READ, a.multipart),
            ArtifactRoute("GET", proxy + "artifacts", Permission.READ, a.list),
            ArtifactRoute("GET", proxy + "artifacts/{path:path}", Permission.READ, a.download),
            ArtifactRoute("PUT", proxy + "artifacts/{path:path}", Permission.WRITE, a.upload),
            ArtifactRoute("DELETE", proxy + "artifacts/{path:path}", Permission.DELETE, a.delete),
        ]
    routes += [
        ArtifactRoute("GET", "/get-artifact", Permission.READ, a.run_file),
        ArtifactRoute("GET", "/model-versions/get-artifact", Permission.READ, a.version_file),
        ArtifactRoute("POST", AJAX + "upload-artifact", Permission.WRITE, a.upload_from_page),
        ArtifactRoute("GET", AJAX + "logged-models/{model_id}/artifacts/files", Permission.READ, a.model_file),
    ]
    return routes


class _Artifacts:
    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def _destination(self) -> ArtifactStore:
        if self._context.destination is None:
            raise _NotServedError
        return self._context.destination

    async def multipart(self, request: Request) -> Response:
        self._destination()
        _path_in_url(request)
        raise NotImplementedByServerError(
            "Artifacts are kept in a folder of the server, which has no multipart or presigned transfers; use PUT and GET."
        )

    async def list(self, request: Request) -> Response:
        store = self._destination()
        path = clean_path(request.query_params.get("path", ""))
        found = await asyncio.to_thread(store.list, path)
        files: list[dict[str, Any]] = [
            {
                "path": info.path.rpartition("/")[2],
                "is_dir": info.is_dir,
                **({} if info.is_dir else {"file_size": info.file_size}),
            }
            for info in found
        ]
        return JSONResponse({"files": files} if files else {})

    async def download(self, request: Request) -> Response:
        store = self._destination()
        path = _path_in_url(request)
        if not path:
            return _detail("Name a file below the artifact root.")
        info = await asyncio.to_thread(store.stat, path)
        if info is not None and info.is_dir:
            return _detail(f"'{path}' is a folder; list it with artifacts?path=")
        return await _send_file(store, path, request.headers)

    async def upload(self, request: Request) -> Response:
        store = self._destination()
        if request.url.path.endswith("/"):
            return _detail("The path ends in a slash; name a file.")
        await _receive_file(store, _path_in_url(request), request)
        return _empty()

    async def delete(self, request: Request) -> Response:
        store = self._destination()
        await asyncio.to_thread(store.delete, _path_in_url(request))
        return JSONResponse({})

    async def run_file(self, request: Request) -> Response:
        run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid")
        path = request.query_params.get("path")
        if not run_id or not path:
            return HTMLResponse("<!doctype html><h1>400 Bad Request</h1>Give run_id and path.", 400)
        clean = clean_path(path)
        root = await asyncio.to_thread(self._context.run_root, run_id)
        return await _send_file(self._context.open(root), clean, request.headers)

    async def version_file(self, request: Request) -> Response:
        values = {name: request.query_params.get(name) for name in ("name", "version", "path")}
        for name, value in values.items():
            if not value:
                raise InvalidParameterError(f"Missing value for required parameter '{name}'.")
        clean = clean_path(values["path"] or "")
        root = await asyncio.to_thread(self._context.version_root, values["name"] or "", values["version"] or "")
        return await _send_file(self._context.open(root), clean, request.headers)

    async def model_file(self, request: Request) -> Response:
        path = request.query_params.get("artifact_file_path")
        if not path:
            raise BadRequestError("Missing value for required parameter 'artifact_file_path'.")
        clean = clean_path(path, "artifact_file_path")
        root = await asyncio.to_thread(self._context.model_root, request.path_params["model_id"])
        return await _send_file(self._context.open(root), clean, request.headers)

    async def upload_from_page(self, request: Request) -> Response:
        run_id = request.query_params.get("run_uuid")
        path = request.query_params.get("path")
        if not run_id:
            raise InvalidParameterError("Missing value for required parameter 'run_uuid'.")
        if not path:
            raise InvalidParameterError("Missing value for required parameter 'path'.")
        clean = clean_path(path)
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > UPLOAD_LIMIT:
            raise _too_large()
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > UPLOAD_LIMIT:
                raise _too_large()
        if not body:
            raise InvalidParameterError("The request has no body; send the file's content.")
        root = await asyncio.to_thread(self._context.run_root, run_id)
        await asyncio.to_thread(self._context.open(root).write, clean, [body])
        return Response(b"", media_type="application/json")


class _NotServedError(Exception):
    """The server was started with --no-serve-artifacts."""


def _answering_errors(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except _NotServedError:
            return JSONResponse({"detail": "This server does not serve artifacts (--no-serve-artifacts)."}, 503)
        except ClientDisconnect:
            return Response(status_code=499)
        except SlipstreamError as error:
            return JSONResponse({"error_code": error.code, "message": str(error)}, error.status)

    return answer


def _path_in_url(request: Request) -> str:
    """Return the path below the route's prefix, decoded once and cleaned."""
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    encoded = raw.split(b"?", 1)[0].decode("latin-1")
    for proxy in _PROXIES:
        for start in ("artifacts/", "presigned/", "mpu/create/", "mpu/complete/", "mpu/abort/"):
            if encoded.startswith(proxy + start):
                return clean_path(unquote(encoded.removeprefix(proxy + start)))
    raise InvalidParameterError(f"Invalid path '{encoded[:200]}': its prefix must not be percent-encoded.")


async def _send_file(store: ArtifactStore, path: str, headers: Mapping[str, str]) -> Response:
    info = await asyncio.to_thread(store.stat, path)
    if info is None:
        raise NotFoundError(f"No artifact '{path}' exists here")
    file = await asyncio.to_thread(store.open, path)
    size = info.file_size or 0
    start, stop, status = 0, size, 200
    wanted = _range(headers.get("range"), size)
    if wanted is not None:
        start, stop = wanted
        status = 206
    seek = getattr(file, "seek", None)
    if start and seek is not None:
        await asyncio.to_thread(seek, start)

    async def chunks() -> AsyncIterator[bytes]:
        left = stop - start
        try:
            while left > 0:
                chunk = await asyncio.to_thread(file.read, min(CHUNK, left))
                if not chunk:
                    break
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    kind = content_type(path)
    sent = {
        "content-type": kind,  # as a header: Starlette would add a charset, which nobody knows here
        "content-disposition": _disposition(path),
        "content-length": str(stop - start),
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
    }
    if kind in _DEACTIVATED:
        # A page that somebody logged must not act as a page of this server.
        sent["content-security-policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if status == 206:
        sent["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingResponse(chunks(), status, sent)


async def _receive_file(store: ArtifactStore, path: str, request: Request) -> None:
    """Write a request's body; a client that goes away half-way leaves nothing behind."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=_WAITING_CHUNKS)

    def arriving() -> Iterator[bytes]:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    writing = asyncio.ensure_future(asyncio.to_thread(store.write, path, arriving()))

    async def hand_over(item: bytes | BaseException | None) -> None:
        while not writing.done():
            try:
                waiting.put_nowait(item)
            except queue.Full:
                await asyncio.sleep(0.002)
            else:
                return

    try:
        pieces: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            pieces.append(chunk)
            size += len(chunk)
            if size >= CHUNK:
                await hand_over(b"".join(pieces))
                pieces, size = [], 0
        await hand_over(b"".join(pieces))
    except BaseException as error:
        await hand_over(error if isinstance(error, Exception) else ClientDisconnect())
        await asyncio.wait([writing])
        if writing.exception() is None:
            raise
        raise error from None
    await hand_over(None)
    await writing


def content_type(path: str) -> str:
    """Return the type to send a file as; everything that reads as text is plain text, as in MLflow."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot > 0 else ""
    if name in _TEXT_NAMES or suffix in _TEXT_SUFFIXES:
        return "text/plain"
    return mimetypes.guess_type(name.lower())[0] or "application/octet-stream"


def _disposition(path: str) -> str:
    name = path.rpartition("/")[2]
    if name.isascii() and '"' not in name:
        plain = name if all(c.isalnum() or c in "-_.+!#$&^`|~" for c in name) else f'"{name}"'
        return f"attachment; filename={plain}"
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read `bytes=a-b`; `None` for what is not one satisfiable range, which is then ignored."""
    if header is None or not header.startswith("bytes=") or "," in header:
        return None
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    if not dash or (first and not first.isdigit()) or (last and not last.isdigit()) or not (first or last):
        return None
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None


def _empty() -> Response:
    return Response(b"")


def _detail(text: str) -> Response:
    return JSONResponse({"detail": text}, 400)


def _too_large() -> InvalidParameterError:
    return InvalidParameterError(
        f"The file is larger than {UPLOAD_LIMIT // 2**20} MiB, the limit of this route. Upload it through "
        "the artifact proxy (PUT mlflow-artifacts/artifacts/...)."
    )
