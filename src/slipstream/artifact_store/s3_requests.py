"""Signed requests to S3 for what obstore does not offer: uploads in parts that somebody else sends.

The signature is AWS's version 4 in the query of an address ("presigned"): who has the address may send this one
request for a while, without credentials.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from slipstream import settings
from slipstream.artifact_store.object_uris import s3_configuration
from slipstream.errors import (
    InternalError,
    NotFoundError,
    NotImplementedByServerError,
    StorageError,
    UnavailableError,
)

UPLOAD_SECONDS = 3600
"""How long the addresses of an upload's parts are good for, as in MLflow."""
_REQUEST_SECONDS = 300
_TRIES = 3
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_CODE = re.compile(r"<Code>(\w+)</Code>")


@dataclass(frozen=True)
class Credentials:
    key: str
    secret: str
    token: str | None


@dataclass(frozen=True)
class ListedPart:
    number: int
    size: int
    etag: str
    """As the store spells it, in quotation marks."""


@dataclass(frozen=True)
class Upload:
    """An upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    begun: datetime


class S3Requests:
    """One bucket.

    Args:
        bucket: its name.
        endpoint: the server's address, or `None` for Amazon's.
        region: the bucket's.
        virtual: whether the bucket is a part of the host's name.
    """

    def __init__(
        self, bucket: str, endpoint: str | None, region: str, credentials: Credentials, *, virtual: bool
    ) -> None:
        base = endpoint or f"https://s3.{region}.amazonaws.com"
        parts = urlsplit(base)
        self._scheme = parts.scheme
        self._host = f"{bucket}.{parts.netloc}" if virtual else parts.netloc
        self._path = parts.path.rstrip("/") + ("" if virtual else f"/{bucket}")
        self._region = region
        self._credentials = credentials
        self._pool: Any = None

    @classmethod
    def from_environment(cls, bucket: str) -> "S3Requests":
        """Read what obstore reads, too.

        Raises:
            NotImplementedByServerError: the credentials are of a kind that only obstore can find.
        """
        config = s3_configuration()
        endpoint: str | None = config.get("endpoint")
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            endpoint = endpoint or os.environ.get(name)
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        virtual = "virtual_hosted_style_request" in config
        return cls(bucket, endpoint, region, find_credentials(), virtual=virtual)

    # -- signing ------------------------------------------------------------------------------------

    def sign(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        seconds: int,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Return the address of one request on an object, or on the bucket for the key `""`.

        Args:
            method: that of the request.
            key: the object's.
            query: what else the address says.
            seconds: how long it is good for.
            headers: those that must come with the request, with these values.
        """
        signed = {name.lower(): value.strip() for name, value in (headers or {}).items()}
        signed["host"] = self._host.lower()
        names = ";".join(sorted(signed))
        now = datetime.now(UTC)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        scope = f"{day}/{self._region}/s3/aws4_request"
        fields = {
            **query,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._credentials.key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": names,
        }
        if self._credentials.token is not None:
            fields["X-Amz-Security-Token"] = self._credentials.token
        path = quote(f"{self._path}/{key}" if key else self._path or "/", safe="/-_.~")
        text = "&".join(
            f"{name}={value}"
            for name, value in sorted((_quoted(name), _quoted(value)) for name, value in fields.items())
        )
        lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
        request = "\n".join((method, path, text, *lines, "", names, "UNSIGNED-PAYLOAD"))
        to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
        secret = f"AWS4{self._credentials.secret}".encode()
        for each in (day, self._region, "s3", "aws4_request"):
            secret = _hmac(secret, each)
        signature = _hmac(secret, to_sign).hex()
        return f"{self._scheme}://{self._host}{path}?{text}&X-Amz-Signature={signature}"

    def sign_part(self, key: str, upload_id: str, number: int) -> str:
        """Return the address to which a part's content is put; a part that is put again replaces the one before."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        return self.sign("PUT", key, query, UPLOAD_SECONDS)

    # -- uploads in parts ---------------------------------------------------------------------------

    def begin(self, key: str) -> str:
        """Begin an upload and return its id."""
        return _text(_parse(self._send("POST", key, {"uploads": ""})), "UploadId")

    def complete(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Put the parts together; the object is there, whole, when this returns.

        Raises:
            NotFoundError: there is no such upload (any more).
            InternalError: a part is missing or another than named.
        """
        lines = [
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(parts)
        ]
        body = f"<CompleteMultipartUpload>{''.join(lines)}</CompleteMultipartUpload>"
        answer = self._send("POST", key, {"uploadId": upload_id}, body.encode())
        # An error may come after a 200: the connection was kept open with blanks while the parts were joined.
        if (code := _CODE.search(answer.decode("utf-8", "replace"))) is not None:
            raise UnavailableError(f"The parts of '{key}' could not be put together ({code[1]}). Try again.")

    def abort(self, key: str, upload_id: str) -> None:
        """Throw away what has arrived of an upload; one that is not there is fine."""
        try:
            self._send("DELETE", key, {"uploadId": upload_id})
        except NotFoundError:
            return

    def uploads(self, prefix: str) -> list[Upload]:
        """Return the uploads under way below a prefix, abandoned ones too."""
        found: list[Upload] = []
        markers: dict[str, str] = {}
        while True:
            root = _parse(self._send("GET", "", {"uploads": "", "prefix": prefix, **markers}))
            found += [
                Upload(
                    _text(each, "Key"),
                    _text(each, "UploadId"),
                    datetime.fromisoformat(_text(each, "Initiated")),
                )
                for each in _all(root, "Upload")
            ]
            following = {
                "key-marker": _text(root, "NextKeyMarker"),
                "upload-id-marker": _text(root, "NextUploadIdMarker"),
            }
            if _text(root, "IsTruncated") != "true" or following == markers:
                # Not every server heeds the prefix.
                return [each for each in found if each.key.startswith(prefix)]
            markers = following

    def put_part(self, key: str, upload_id: str, number: int, content: bytes | IO[bytes], md5: str) -> None:
        """Store a part; the store compares it with the MD5 (in hexadecimal digits) itself.

        Raises:
            NotFoundError: there is no such upload (any more).
        """
        query = {"partNumber": str(number), "uploadId": upload_id}
        checksum = base64.b64encode(bytes.fromhex(md5)).decode()
        self._send("PUT", key, query, content, {"Content-MD5": checksum})

    def parts(self, key: str, upload_id: str) -> list[ListedPart]:
        """Return what has arrived of an upload.

        Raises:
            NotFoundError: there is no such upload (any more).
        """
        found: list[ListedPart] = []
        marker: dict[str, str] = {}
        while True:
            root = _parse(self._send("GET", key, {"uploadId": upload_id, **marker}))
            found += [
                ListedPart(int(_text(each, "PartNumber")), int(_text(each, "Size")), _text(each, "ETag"))
                for each in _all(root, "Part")
            ]
            following = {"part-number-marker": _text(root, "NextPartNumberMarker")}
            if _text(root, "IsTruncated") != "true" or following == marker:
                return found
            marker = following

    # -- sending ------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        return self._exchange(method, key, query, body, headers or {}).data

    def _exchange(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        body: bytes | IO[bytes] | None,
        headers: Mapping[str, str],
    ) -> Any:
        import urllib3

        pool = self._pool = self._pool or open_pool()
        reason = "no answer"
        for _ in range(_TRIES):
            url = self.sign(method, key, query, _REQUEST_SECONDS)
            sent = dict(headers)
            if body is not None and not isinstance(body, bytes):
                sent["Content-Length"] = str(body.seek(0, os.SEEK_END))
                body.seek(0)
            try:
                answer = pool.request(
                    method, url, body=body, headers=sent, timeout=_REQUEST_SECONDS, retries=False
                )
            except urllib3.exceptions.HTTPError:
                continue
            if answer.status < 300:
                return answer
            code = _CODE.search(answer.data.decode("utf-8", "replace"))
            reason = code[1] if code is not None else str(answer.status)
            if answer.status in (429, 500, 502, 503, 504):
                continue
            if answer.status == 404:
                raise NotFoundError(f"There is no such upload of '{key}' in the object store ({reason}).")
            if answer.status in (401, 403):
                raise StorageError(f"The object store refused an upload of '{key}' ({reason}).")
            raise InternalError(f"The object store answered {reason} to an upload of '{key}'.")
        raise UnavailableError(
            f"The object store is out of order or cannot be reached ({reason}). Try again."
        )


def open_pool() -> Any:
    """Return connections to an object store, as the settings want their certificates checked."""
    import urllib3

    if settings.S3_IGNORE_TLS.get():
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return urllib3.PoolManager(maxsize=10, cert_reqs="CERT_NONE", assert_hostname=False)
    return urllib3.PoolManager(maxsize=10)


def find_credentials() -> Credentials:
    """Return AWS credentials: from the environment.

    Raises:
        NotImplementedByServerError: there are none that could sign an address.
    """
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None)
    raise NotImplementedByServerError(
        "Multipart upload is not supported for the current artifact repository: addresses of parts are signed with "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which are not set."
    )


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _parse(answer: bytes) -> ET.Element:
    # The answer is that of the store which keeps the artifacts; it declares no entities, and one that does is refused.
    if b"<!DOCTYPE" in answer or b"<!ENTITY" in answer:
        raise InternalError("The object store answered with a document type; such answers are not read.")
    try:
        return ET.fromstring(answer)  # noqa: S314  # no entities, see above
    except ET.ParseError as error:
        raise InternalError("The object store answered with something that is no XML.") from error


def _all(root: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in root if _NAMESPACE.sub("", child.tag) == name]


def _text(root: ET.Element, name: str) -> str:
    return next((child.text or "" for child in root if _NAMESPACE.sub("", child.tag) == name), "")
