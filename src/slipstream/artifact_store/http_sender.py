"""What sends requests to a tracking server for the stores that are behind one."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

SIGNED = "Slipstream-Signed"
"""A header: with `accept` a client says that it can fetch a file by an address that the server signs; with `yes` the server
says that its redirect is to such an address."""


class HttpSender(Protocol):
    """Errors come out as slipstream's own. `client/transport.py` has it, with retries and authentication."""

    base_url: str

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes: ...

    def download_file(self, path: str) -> AbstractContextManager["Body"]: ...

    def upload(self, path: str, chunks: Iterable[bytes]) -> object: ...


class Body(Protocol):
    """The body of an answer, read in pieces."""

    def read(self, amt: int | None = None) -> bytes: ...
