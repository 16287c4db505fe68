"""Uploads in parts that go on where they were interrupted: what client and store agree on.

A part is known by its number, from 1, and the MD5 of its content, as object stores know it; it tells what got damaged or
changed, and guards against nothing else. All parts but the last have one size, which the client chooses.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from slipstream.errors import InvalidParameterError

MOST_PARTS = 10_000
"""S3's limit."""
LARGEST_PART = 1 << 30
_CHECKSUM = re.compile(r"[0-9a-f]{32}")


class Begun(msgspec.Struct, frozen=True):
    """An upload that has begun."""

    upload_id: str
    bound: bool
    """Whether it can only become the file that it was begun for."""
    at_once: int
    """How many parts may be sent at a time."""


class Part(msgspec.Struct, frozen=True):
    """A part that has arrived, whole."""

    number: int
    size: int
    checksum: str


class Uploads(Protocol):
    """A store that takes files in parts. Nothing is seen of a file before `complete`."""

    def begin(self, path: str, size: int, part_bytes: int) -> Begun:
        """Begin an upload.

        Raises:
            NotImplementedByServerError: this store, or the server before it, takes none.
            InvalidParameterError: nothing may be written under this path.
        """
        ...

    def parts(self, path: str, upload_id: str) -> list[Part]:
        """Return what has arrived.

        Raises:
            NotFoundError: there is no such upload (any more).
        """
        ...

    def send(self, path: str, upload_id: str, number: int, content: bytes, checksum: str) -> None:
        """Store a part, replacing it if it was there. Retry-safe."""
        ...

    def complete(self, path: str, upload_id: str, size: int, checksums: Sequence[str]) -> None:
        """Put the file in its place, whole.

        Args:
            path: the file.
            upload_id: which upload.
            size: of the file in bytes.
            checksums: of all parts in order.

        Raises:
            NotFoundError: there is no such upload (any more).
            ConflictError: a part is missing, or another than named.
        """
        ...

    def abort(self, path: str, upload_id: str) -> None:
        """Throw away what has arrived; an upload that is not there is fine."""
        ...


def checksum_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def require_checksum(text: str) -> str:
    """Check what a client says a part's checksum is."""
    if not _CHECKSUM.fullmatch(text):
        raise InvalidParameterError(
            f"'checksum' is {text[:50]!r}; it must be the MD5 of the part in 32 lower-case hexadecimal digits."
        )
    return text


def require_plan(size: int, part_bytes: int) -> int:
    """Return how many parts a file has.

    Raises:
        InvalidParameterError: the sizes make too many parts, or none.
    """
    if size < 1:
        raise InvalidParameterError(f"'size' is {size}; an upload in parts has at least one byte.")
    if not 1 <= part_bytes <= LARGEST_PART:
        raise InvalidParameterError(f"'part_bytes' is {part_bytes}; it must be from 1 to {LARGEST_PART}.")
    count = -(-size // part_bytes)
    if count > MOST_PARTS:
        raise InvalidParameterError(
            f"{size} bytes in parts of {part_bytes} are {count} parts; at most {MOST_PARTS} are taken. "
            "Make 'part_bytes' larger."
        )
    return count
