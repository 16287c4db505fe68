"""Routes that carry bytes: the artifact proxy, downloads of run and model files, uploads from the UI.

Everything is streamed: memory does not depend on the size of a file. Paths are taken from the URL as it
was sent and decoded exactly once, then pass through the one canonicaliser.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from slipstream import settings
from slipstream.api.routing import AJAX, API, OWN, Permission
from slipstream.artifact_store.base import ArtifactStore, Reader
from slipstream.artifact_store.http_sender import SIGNED
from slipstream.artifact_store.objects import ObjectArtifactStore, ObjectReader
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.s3_uploads import abort_upload, begin_upload, complete_upload
from slipstream.artifact_store.uploads import MOST_PARTS
from slipstream.errors import (
    BadRequestError,
    InvalidParameterError,
    NotFoundError,
    NotImplementedByServerError,
    SlipstreamError,
)
from slipstream.server.context import ServedStore, ServerContext
from slipstream.server.dispatch import error_answer
from slipstream.server.file_headers import file_etag, headers_of_file

CHUNK = 1024 * 1024
UPLOAD_LIMIT = 10 * 1024 * 1024
_JSON_LIMIT = 4 * 1024 * 1024  # ten thousand parts, each with a long address
_LONGEST_NUMBER = 18

_PROXIES = tuple(f"{base.removesuffix('mlflow/')}mlflow-artifacts/" for base in (API, AJAX))
_PREFIXES = (
    *(
        proxy + start
        for proxy in _PROXIES
        for start in ("artifacts/", "presigned/", "mpu/create/", "mpu/complete/", "mpu/abort/")
    ),
    *(f"{OWN}uploads/{action}/" for action in ("begin", "parts", "part", "sign", "complete", "abort")),
)
Endpoint = Callable[[Request], Awaitable[Response]]


class DeclaredRoute(Route):
    """A Starlette route that declares what its caller must be allowed to do."""

    def __init__(self, method: str, path: str, permission: Permission, endpoint: Endpoint) -> None:
        super().__init__(path, _answering_errors(endpoint), methods=[method])
        self.permission = permission


def artifact_routes(context: ServerContext) -> list[Route]:
    """Return all routes of this file, bound to a server's artifact roots."""
    a = _Artifacts(context)
    routes: list[Route] = []
    for proxy in _PROXIES:
        routes += [
            DeclaredRoute("POST", f"{proxy}mpu/{action}/{{path:path}}", Permission.WRITE, endpoint)
            for action, endpoint in (
                ("create", a.create_upload),
                ("complete", a.complete_upload),
                ("abort", a.abort_upload),
            )
        ]
        routes += [
            DeclaredRoute("GET", proxy + "presigned/{path:path}", Permission.READ, a.presigned),
            DeclaredRoute("GET", proxy + "artifacts", Permission.READ, a.list),
            DeclaredRoute("GET", proxy + "artifacts/{path:path}", Permission.READ, a.download),
            DeclaredRoute("PUT", proxy + "artifacts/{path:path}", Permission.WRITE, a.upload),
            DeclaredRoute("DELETE", proxy + "artifacts/{path:path}", Permission.DELETE, a.delete),
        ]
    routes += [
        DeclaredRoute("GET", "/get-artifact", Permission.READ, a.run_file),
        DeclaredRoute("GET", "/model-versions/get-artifact", Permission.READ, a.version_file),
        DeclaredRoute("POST", AJAX + "upload-artifact", Permission.WRITE, a.upload_from_page),
        DeclaredRoute(
            "GET", AJAX + "logged-models/{model_id}/artifacts/files", Permission.READ, a.model_file
        ),
    ]
    return routes


def served(context: ServerContext, *, detail: bool = False) -> ServedStore:
    """Return the store behind `mlflow-artifacts:`, or refuse where it is not served."""
    if context.destination is None:
        raise _NotServedError(detail=detail)
    return context.destination


class _Artifacts:
    def __init__(self, context: ServerContext) -> None:
        self._context = context

    async def create_upload(self, request: Request) -> Response:
        store, folder, message = await self._multipart(request)
        count = message.get("num_parts", 1)
        if not isinstance(count, int) or not 1 <= count <= MOST_PARTS:
            raise InvalidParameterError(f"'num_parts' is {count!r}; it must be from 1 to {MOST_PARTS}.")
        return JSONResponse(await asyncio.to_thread(begin_upload, store, _target(folder, message), count))

    async def complete_upload(self, request: Request) -> Response:
        store, folder, message = await self._multipart(request)
        parts = message.get("parts")
        upload_id = message.get("upload_id")
        if not isinstance(upload_id, str) or not upload_id:
            raise InvalidParameterError("Missing value for required parameter 'upload_id'.")
        if not isinstance(parts, list) or not parts:
            raise InvalidParameterError("Missing value for required parameter 'parts'.")
        try:
            pairs = [(int(part["part_number"]), str(part["etag"])) for part in parts]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidParameterError("Each of 'parts' needs part_number and etag.") from error
        await asyncio.to_thread(complete_upload, store, _target(folder, message), upload_id, pairs)
        return JSONResponse({})

    async def abort_upload(self, request: Request) -> Response:
        store, folder, message = await self._multipart(request)
        upload_id = message.get("upload_id")
        if not isinstance(upload_id, str) or not upload_id:
            raise InvalidParameterError("Missing value for required parameter 'upload_id'.")
        await asyncio.to_thread(abort_upload, store, _target(folder, message), upload_id)
        return JSONResponse({})

    async def _multipart(self, request: Request) -> tuple[ObjectArtifactStore, str, dict[str, Any]]:
        store = served(self._context)
        folder = path_in_url(request)
        message = await read_message(request)
        path = message.get("path")
        if isinstance(path, str):  # the local name at the client, of which only the last part counts
            clean_path(path.rpartition("/")[2] if path.startswith("/") else path)
        if not isinstance(store, ObjectArtifactStore):
            raise _no_multipart()
        return store, folder, message

    async def presigned(self, request: Request) -> Response:
        store = served(self._context)
        path = path_in_url(request)
        if not isinstance(store, ObjectArtifactStore):
            raise _no_multipart()
        seconds = settings.PRESIGNED_DOWNLOAD_URL_TTL_SECONDS.get()
        url, size = await asyncio.to_thread(store.sign_download, path, seconds)
        return JSONResponse({"url": url, "headers": {}, "file_size": size})

    async def list(self, request: Request) -> Response:
        store = served(self._context)
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
        store = served(self._context, detail=True)
        path = path_in_url(request)
        if not path:
            return _detail("Name a file below the artifact root.")
        if (
            isinstance(store, ObjectArtifactStore)
            and request.method == "GET"
            and request.headers.get(SIGNED) == "accept"
            and settings.SIGNED_TRANSFERS.get()
            and "range" not in request.headers
        ):
            signed = await asyncio.to_thread(_sign_large, store, path)
            if signed is not None:
                return Response(
                    None, 307, {"location": signed, SIGNED.lower(): "yes", "cache-control": "no-store"}
                )
        try:
            return await _send_file(store, path, request)
        except _IsFolderError as error:
            return _detail(str(error))

    async def upload(self, request: Request) -> Response:
        store = served(self._context, detail=True)
        if request.scope["path"].endswith("/"):
            return _detail("The path ends in a slash; name a file.")
        await _receive_file(store, path_in_url(request), request)
        return _empty()

    async def delete(self, request: Request) -> Response:
        store = served(self._context)
        await asyncio.to_thread(store.delete, path_in_url(request))
        return JSONResponse({})

    async def run_file(self, request: Request) -> Response:
        run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid")
        path = request.query_params.get("path")
        if not run_id or not path:
            return HTMLResponse("<!doctype html><h1>400 Bad Request</h1>Give run_id and path.", 400)
        clean = clean_path(path)
        root = await asyncio.to_thread(self._context.run_root, run_id)
        return await _send_file(self._context.open(root), clean, request)

    async def version_file(self, request: Request) -> Response:
        values = {name: request.query_params.get(name) for name in ("name", "version", "path")}
        for name, value in values.items():
            if not value:
                raise InvalidParameterError(f"Missing value for required parameter '{name}'.")
        clean = clean_path(values["path"] or "")
        store = await asyncio.to_thread(
            self._context.open_version, values["name"] or "", values["version"] or ""
        )
        return await _send_file(store, clean, request)

    async def model_file(self, request: Request) -> Response:
        path = request.query_params.get("artifact_file_path")
        if not path:
            raise BadRequestError("Missing value for required parameter 'artifact_file_path'.")
        clean = clean_path(path, "artifact_file_path")
        root = await asyncio.to_thread(self._context.model_root, request.path_params["model_id"])
        return await _send_file(self._context.open(root), clean, request)

    async def upload_from_page(self, request: Request) -> Response:
        run_id = request.query_params.get("run_uuid")
        path = request.query_params.get("path")
        if not run_id:
            raise InvalidParameterError("Missing value for required parameter 'run_uuid'.")
        if not path:
            raise InvalidParameterError("Missing value for required parameter 'path'.")
        clean = clean_path(path)
        length = _number(request.headers.get("content-length", ""))
        if length is not None and length > UPLOAD_LIMIT:
            raise _too_large()
        body = await small_body(request, UPLOAD_LIMIT)
        if body is None:
            raise _too_large()
        if not body:
            raise InvalidParameterError("The request has no body; send the file's content.")
        root = await asyncio.to_thread(self._context.run_root, run_id)
        await asyncio.to_thread(self._context.open(root).write, clean, [body])
        return Response(b"", media_type="application/json")


class _NotServedError(Exception):
    """The server was started with --no-serve-artifacts."""

    text: ClassVar[str] = "This server does not serve artifacts (--no-serve-artifacts)."

    def __init__(self, *, detail: bool) -> None:
        super().__init__(self.text)
        self.detail = detail
        """Whether the answer is JSON, as MLflow has it for files."""


class _IsFolderError(InvalidParameterError):
    """A folder was asked for where only files can be sent."""


def _answering_errors(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except _NotServedError as error:
            if error.detail:
                return JSONResponse({"detail": error.text}, 503)
            return PlainTextResponse(error.text, 503)
        except ClientDisconnect:
            return Response(status_code=499)
        except SlipstreamError as error:
            return JSONResponse({"error_code": error.code, "message": str(error)}, error.status)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            status, body = error_answer(error, request.scope.get("asked"))
            return Response(body, status, media_type="application/json")

    return answer


# -- paths ------------------------------------------------------------------------------------------------


def path_in_url(request: Request) -> str:
    """Return the path below the route's prefix, decoded once and cleaned."""
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    encoded = raw.split(b"?", 1)[0].decode("latin-1")
    for prefix in _PREFIXES:
        if encoded.startswith(prefix):
            return clean_path(_decode(encoded.removeprefix(prefix)))
    raise InvalidParameterError(f"Invalid path {encoded[:200]!r}: its prefix must not be percent-encoded.")


def _decode(encoded: str) -> str:
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError as error:
        raise InvalidParameterError(
            f"Invalid path {encoded[:200]!r}: it is not UTF-8, percent-encoded."
        ) from error


async def read_message(request: Request) -> dict[str, Any]:
    """Read a small JSON body; what is none is an empty message, as everywhere in this API."""
    body = await small_body(request, _JSON_LIMIT)
    if body is None:
        raise InvalidParameterError(f"The request body is larger than {_JSON_LIMIT // 1024} KiB.")
    try:
        message = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _target(folder: str, message: dict[str, Any]) -> str:
    """Return where the file goes: into the folder of the URL, under the last part of the client's own name for it."""
    path = message.get("path")
    if not isinstance(path, str) or not path:
        raise InvalidParameterError("Missing value for required parameter 'path'.")
    name = clean_path(path.rpartition("/")[2])
    if not name:
        raise InvalidParameterError("The path ends in a slash; name a file.")
    return f"{folder}/{name}" if folder else name


def _no_multipart() -> NotImplementedByServerError:
    # MLflow's client goes on with a plain PUT if the message begins like this.
    return NotImplementedByServerError(
        "Multipart upload is not supported for the current artifact repository: it is a folder of the server, "
        "which has no multipart or presigned transfers. Use PUT and GET of mlflow-artifacts/artifacts/<path>."
    )


async def small_body(request: Request, limit: int) -> bytes | None:
    """Return the body, or `None` if it is larger than the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


# -- sending ----------------------------------------------------------------------------------------------


@dataclass
class _Opened:
    """A file, ready to be sent from where the client wants it."""

    file: Reader
    size: int
    start: int
    stop: int
    status: int
    etag: str | None
    """Stays the same as long as the content does."""
    content: bytes | None
    """What is to be sent, if that is little; the file is closed then."""


class _FileResponse(StreamingResponse):
    """Streams a file and closes it, also when the client leaves before the first byte."""

    def __init__(self, opened: _Opened, headers: dict[str, str]) -> None:
        super().__init__(_chunks(opened), opened.status, headers)
        self._file = opened.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _send_file(store: ArtifactStore, path: str, request: Request) -> Response:
    opened = await asyncio.to_thread(
        _open_file, store, path, request.headers.get("range"), request.headers.get("if-range")
    )
    headers = {name.decode(): value.decode("latin-1") for name, value in headers_of_file(path)}
    headers["content-length"] = str(opened.stop - opened.start)
    if opened.etag is not None:
        headers["etag"] = opened.etag
    if opened.status == 206:
        headers["content-range"] = f"bytes {opened.start}-{opened.stop - 1}/{opened.size}"
    if opened.status == 416:
        headers["content-range"] = f"bytes */{opened.size}"
    if request.method == "HEAD":
        opened.file.close()
        return Response(None, opened.status, headers)
    if opened.content is not None:
        return Response(opened.content, opened.status, headers)
    return _FileResponse(opened, headers)


class PathInUrl(NamedTuple):
    """What a URL says of a file."""

    clean: str
    headers: tuple[tuple[bytes, bytes], ...]
    """Those of an answer that do not depend on the content."""


def clean_url_path(encoded: bytes) -> str | None:
    """Return the path of a file that a URL names below a route, decoded once and cleaned; `None` if it names none."""
    try:
        return clean_path(_decode(encoded.decode("latin-1"))) or None
    except InvalidParameterError:
        return None


def _sign_large(store: ObjectArtifactStore, path: str) -> str | None:
    """Return an address of a file in the object store; `None` where the file itself is sent as fast, or there is none."""
    info = store.stat(path)
    if info is None or (info.file_size or 0) < CHUNK:
        return None
    return store.sign_download(path, settings.PRESIGNED_DOWNLOAD_URL_TTL_SECONDS.get())[0]


def _open_file(store: ArtifactStore, path: str, wanted: str | None, unless_changed: str | None) -> _Opened:
    """Open a file and, if little is wanted of it, read that at once: one visit to a thread is enough then."""
    info = store.stat(path)
    if info is None:
        raise NotFoundError(f"No artifact '{path}' exists here.")
    if info.is_dir:
        raise _IsFolderError(f"'{path}' is a folder; name a file in it.")
    file = store.open(path)
    try:
        seek: Callable[..., int] | None = getattr(file, "seek", None)
        # The file's own size: it may have been replaced since `stat`.
        size = seek(0, 2) if seek is not None else info.file_size or 0
        etag = _etag(file)
        # If-Range asks for the whole file unless it is the same as before. Dates, which it may hold, are too coarse.
        same = unless_changed is None or (etag is not None and unless_changed == etag)
        start, stop, status = _range(wanted if seek is not None and same else None, size)
        if seek is not None:
            seek(start)
        if stop - start > CHUNK:
            return _Opened(file, size, start, stop, status, etag, None)
        content = file.read(stop - start) if stop > start else b""
    except BaseException:
        file.close()
        raise
    file.close()
    return _Opened(file, size, start, stop, status, etag, content)


def _etag(file: Reader) -> str | None:
    """Return what tells this content from all others of the file: an object store's own mark, or the inode and time."""
    if isinstance(file, ObjectReader):
        return file.etag
    fileno: Callable[[], int] | None = getattr(file, "fileno", None)
    if fileno is None:
        return None
    return file_etag(os.fstat(fileno()))


async def _chunks(opened: _Opened) -> AsyncGenerator[bytes]:
    left = opened.stop - opened.start
    while left > 0:
        chunk = await asyncio.to_thread(opened.file.read, min(CHUNK, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


# -- receiving --------------------------------------------------------------------------------------------


async def _receive_file(store: ServedStore, path: str, request: Request) -> None:
    """Write a request's body; a client that goes away half-way leaves nothing behind."""
    pieces = pieces_of(request)
    first = await anext(pieces, b"")
    second = await anext(pieces, None)
    if second is None:
        await asyncio.to_thread(store.write, path, [first])
        return
    # No thread waits for the network: a slow client costs nobody else anything.
    if isinstance(store, ObjectArtifactStore):
        size = _number(request.headers.get("content-length", ""))
        writer = await asyncio.to_thread(store.create, path, size)
    else:
        writer = await asyncio.to_thread(store.create, path)
    try:
        await asyncio.to_thread(writer.write, first)
        await asyncio.to_thread(writer.write, second)
        del first, second
        async for piece in pieces:
            await asyncio.to_thread(writer.write, piece)
        await asyncio.to_thread(writer.commit)
    finally:
        writer.close()


async def pieces_of(request: Request) -> AsyncGenerator[bytes]:
    """Gather what arrives in the network's small portions."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        gathered.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


# -- headers ----------------------------------------------------------------------------------------------


def _range(header: str | None, size: int) -> tuple[int, int, int]:
    """Read `bytes=a-b`; return start, stop and status. What is not one range is ignored, as HTTP allows."""
    everything = (0, size, 200)
    if header is None or not header.startswith("bytes=") or "," in header:
        return everything
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    a, b = _number(first), _number(last)
    if not dash or (first and a is None) or (last and b is None) or (a is None and b is None):
        return everything
    if a is None:
        start, stop = max(0, size - (b or 0)), size
    else:
        if b is not None and b < a:
            return everything
        start, stop = a, size if b is None else min(size, b + 1)
    return (start, stop, 206) if start < stop else (0, 0, 416)


def _number(text: str) -> int | None:
    # `isdigit` alone takes superscripts, too, and `int` takes minutes for a number of a million digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


def _empty() -> Response:
    return Response(b"")


def _detail(text: str) -> Response:
    return JSONResponse({"detail": text}, 400)


def _too_large() -> InvalidParameterError:
    return InvalidParameterError(
        f"The file is larger than {UPLOAD_LIMIT // 2**20} MiB, the limit of this route. Upload it through "
        "the artifact proxy (PUT mlflow-artifacts/artifacts/...)."
    )
