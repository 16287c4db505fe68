"""Uploads in parts to slipstream's tracking server, over HTTP."""

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from slipstream.artifact_store.http_sender import HttpSender
from slipstream.artifact_store.paths import PROXY_ROUTE, clean_path
from slipstream.artifact_store.uploads import Begun, Part
from slipstream.errors import EndpointNotFoundError, NotImplementedByServerError

ROUTE = "/api/slipstream/v1/uploads"
"""In every address `ROUTE/<action>/<path>`, the path is that below the server's artifact root."""
_DIRECT_SECONDS = 300

_logger = logging.getLogger(__name__)


class ProxyUploads:
    """Uploads below one folder of the server's artifact root.

    Where the server offers it, parts go straight to the object store behind it, by addresses that the server signs; and
    through the server as soon as one of them fails.
    """

    def __init__(self, root: str, sender: HttpSender) -> None:
        self._root = root
        self._sender = sender
        self._signs: set[str] = set()
        """Uploads whose parts go to the object store directly."""
        self.where = f"{sender.base_url}{PROXY_ROUTE}"

    def full_path(self, path: str) -> str:
        """Return a file's path below the server's artifact root."""
        return "/".join(part for part in (self._root, clean_path(path)) if part)

    def begin(self, path: str, size: int, part_bytes: int) -> Begun:
        try:
            answer = self._post("begin", path, {"size": size, "part_bytes": part_bytes})
            begun = Begun(str(answer["upload_id"]), bool(answer["bound"]), int(answer["at_once"]))
        except (EndpointNotFoundError, KeyError, ValueError) as error:
            raise NotImplementedByServerError("This server takes no uploads in parts.") from error
        self._note_signing(begun.upload_id, answer)
        return begun

    def parts(self, path: str, upload_id: str) -> list[Part]:
        answer: Any = json.loads(
            self._sender.call("GET", self._url("parts", path), query=[("upload_id", upload_id)])
        )
        self._note_signing(upload_id, answer)
        return [Part(each["number"], each["size"], each["checksum"]) for each in answer["parts"]]

    def send(self, path: str, upload_id: str, number: int, content: bytes, checksum: str) -> None:
        if upload_id in self._signs and self._send_directly(path, upload_id, number, content, checksum):
            return
        self._sender.call(
            "PUT",
            self._url("part", path),
            query=[("upload_id", upload_id), ("number", str(number)), ("checksum", checksum)],
            body=content,
            headers={"Content-Type": "application/octet-stream"},
        )

    def complete(self, path: str, upload_id: str, size: int, checksums: Sequence[str]) -> None:
        message = {"upload_id": upload_id, "size": size, "checksums": list(checksums)}
        self._post("complete", path, message)

    def abort(self, path: str, upload_id: str) -> None:
        self._post("abort", path, {"upload_id": upload_id})

    def _note_signing(self, upload_id: str, answer: Mapping[str, Any]) -> None:
        if answer.get("signs"):
            self._signs.add(upload_id)

    def _send_directly(self, path: str, upload_id: str, number: int, content: bytes, checksum: str) -> bool:
        import urllib3

        from slipstream.artifact_store.s3_requests import open_pool

        url = str(self._post("sign", path, {"upload_id": upload_id, "number": number})["url"])
        headers = {"Content-MD5": base64.b64encode(bytes.fromhex(checksum)).decode()}
        try:
            answer = open_pool().request(
                "PUT", url, body=content, headers=headers, timeout=_DIRECT_SECONDS, retries=False
            )
            reason = str(answer.status)
        except urllib3.exceptions.HTTPError as error:  # its text may hold the address, which is a credential
            reason = type(error).__name__
        else:
            if answer.status < 300:
                return True
        _logger.warning(
            "The object store behind the server cannot be reached directly (%s); going through the server",
            reason,
        )
        self._signs.discard(upload_id)
        return False

    def _post(self, action: str, path: str, message: Mapping[str, object]) -> dict[str, Any]:
        return json.loads(
            self._sender.call("POST", self._url(action, path), body=json.dumps(message).encode())
        )

    def _url(self, action: str, path: str) -> str:
        return f"{ROUTE}/{action}/{quote(self.full_path(path))}"
