"""Routes for uploads in parts that can be resumed; slipstream's own, since MLflow's have no way to ask what has arrived.

The file is named by the path below the artifact root, as in `mlflow-artifacts/artifacts/<path>`.
"""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from slipstream import settings
from slipstream.api.routing import OWN, Permission
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.local_uploads import LocalUploads
from slipstream.artifact_store.s3_uploads import S3Uploads
from slipstream.errors import InvalidParameterError, NotImplementedByServerError
from slipstream.server.artifacts import DeclaredRoute, path_in_url, pieces_of, read_message, served
from slipstream.server.context import ServerContext


def upload_routes(context: ServerContext) -> list[Route]:
    """Return all routes of this file, bound to a server's artifact root."""
    u = _UploadRoutes(context)
    base = f"{OWN}uploads/"
    return [
        DeclaredRoute("POST", base + "begin/{path:path}", Permission.WRITE, u.begin),
        DeclaredRoute("GET", base + "parts/{path:path}", Permission.WRITE, u.parts),
        DeclaredRoute("PUT", base + "part/{path:path}", Permission.WRITE, u.receive),
        DeclaredRoute("POST", base + "sign/{path:path}", Permission.WRITE, u.sign),
        DeclaredRoute("POST", base + "complete/{path:path}", Permission.WRITE, u.complete),
        DeclaredRoute("POST", base + "abort/{path:path}", Permission.WRITE, u.abort),
    ]


class _UploadRoutes:
    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._known: LocalUploads | S3Uploads | None = None

    async def begin(self, request: Request) -> Response:
        uploads = self._uploads()
        path = _file_in_url(request)
        message = await read_message(request)
        begun = await asyncio.to_thread(
            uploads.begin, path, _integer(message, "size"), _integer(message, "part_bytes")
        )
        return JSONResponse(
            {
                "upload_id": begun.upload_id,
                "bound": begun.bound,
                "at_once": begun.at_once,
                "signs": _signs(uploads),
            }
        )

    async def parts(self, request: Request) -> Response:
        uploads = self._uploads()
        upload_id = _text(dict(request.query_params), "upload_id")
        found = await asyncio.to_thread(uploads.parts, _file_in_url(request), upload_id)
        return JSONResponse(
            {
                "parts": [{"number": p.number, "size": p.size, "checksum": p.checksum} for p in found],
                "signs": _signs(uploads),
            }
        )

    async def receive(self, request: Request) -> Response:
        uploads = self._uploads()
        query = dict(request.query_params)
        writer = await asyncio.to_thread(
            uploads.receive,
            _file_in_url(request),
            _text(query, "upload_id"),
            _integer(query, "number"),
            _text(query, "checksum"),
        )
        try:
            # No thread waits for the network.
            async for piece in pieces_of(request):
                await asyncio.to_thread(writer.write, piece)
            await asyncio.to_thread(writer.commit)
        finally:
            writer.close()
        return JSONResponse({})

    async def sign(self, request: Request) -> Response:
        uploads = self._uploads()
        path = _file_in_url(request)
        message = await read_message(request)
        if not isinstance(uploads, S3Uploads) or not _signs(uploads):
            raise NotImplementedByServerError(
                f"This server signs no addresses of parts: it needs artifacts on S3, and {settings.SIGNED_TRANSFERS.name}. "
                "Send the part to uploads/part."
            )
        url = await asyncio.to_thread(
            uploads.sign, path, _text(message, "upload_id"), _integer(message, "number")
        )
        return JSONResponse({"url": url})

    async def complete(self, request: Request) -> Response:
        uploads = self._uploads()
        path = _file_in_url(request)
        message = await read_message(request)
        checksums = _checksums(message)
        await asyncio.to_thread(
            uploads.complete, path, _text(message, "upload_id"), _integer(message, "size"), checksums
        )
        return JSONResponse({})

    async def abort(self, request: Request) -> Response:
        uploads = self._uploads()
        path = _file_in_url(request)
        upload_id = _text(await read_message(request), "upload_id")
        await asyncio.to_thread(uploads.abort, path, upload_id)
        return JSONResponse({})

    def _uploads(self) -> LocalUploads | S3Uploads:
        store = served(self._context)
        if self._known is None:
            if isinstance(store, LocalArtifactStore):
                self._known = LocalUploads(store)
            else:
                self._known = S3Uploads(store)
        return self._known


def _signs(uploads: LocalUploads | S3Uploads) -> bool:
    return isinstance(uploads, S3Uploads) and settings.SIGNED_TRANSFERS.get()


def _file_in_url(request: Request) -> str:
    path = path_in_url(request)
    if not path or request.scope["path"].endswith("/"):
        raise InvalidParameterError("The path names no file; name one below the artifact root.")
    return path


def _checksums(message: dict[str, Any]) -> list[str]:
    try:
        return msgspec.convert(message.get("checksums"), list[str])
    except msgspec.ValidationError as error:
        raise InvalidParameterError(
            "'checksums' must be a list of texts, one for each part, in order."
        ) from error


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidParameterError(f"Missing value for required parameter '{name}'.")
    return value


def _integer(message: dict[str, Any], name: str) -> int:
    value = message.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidParameterError(f"'{name}' is {str(value)[:50]!r}; it must be a whole number.")
    return value
