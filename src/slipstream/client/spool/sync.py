"""Send what programs on this machine logged and did not deliver: what `slipstream sync` does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from slipstream.client.connect import normalise, shown_uri
from slipstream.client.spool.delivery import Delivery, describe, may_pass
from slipstream.client.spool.folder import (
    SUFFIX,
    LeftSpool,
    folder_of,
    keep_refused,
    left_spools,
    spool_folder,
)
from slipstream.client.spool.renamed import Renamed
from slipstream.client.spool.shipper import TIMEOUT_SECONDS, send_left
from slipstream.client.transport import Transport
from slipstream.errors import InvalidParameterError, NotFoundError, SlipstreamError

_RETRIES = 3


class Undelivered(msgspec.Struct, frozen=True):
    """A file that a program left."""

    path: Path
    server: str
    program: str
    host: str
    started: int
    left_bytes: int


class SyncResult(msgspec.Struct):
    """What became of the files."""

    sent: list[Undelivered] = []
    failed: list[tuple[Undelivered, str]] = []
    refused: list[tuple[str, str]] = []
    """Why the server takes a record never, and the record."""
    busy: int = 0
    """Files of programs that still run, which send them themselves."""


def find_undelivered(folder: Path | None = None) -> list[Undelivered]:
    """Return the files of programs that have ended."""
    found: list[Undelivered] = []
    for left in _all_left(folder):
        if left.left_bytes:
            found.append(_describe(left))
        left.close(delivered=False)
    return found


def sync(
    folder: Path | None = None,
    to: str | None = None,
    tell: Callable[[int], object] = lambda _: None,
) -> SyncResult:
    """Send all files of programs that have ended; each is removed once its server has all of it.

    Retry-safe: what was sent before is left out by the server. Where a server does not take a file now, its later ones wait for
    the next call: they may be of programs that went on with the same runs.

    Args:
        folder: where they are: of all servers or of one; by default this user's.
        to: the server to send them to, instead of the one that each names.
        tell: is told of bytes as they are sent.
    """
    result = SyncResult()
    total = sum(1 for _ in _files(folder))
    seen = 0
    away: dict[str, str] = {}  # servers that did not take a file now, and what they said
    for left in _all_left(folder):
        seen += 1
        described = _describe(left)
        named = to or described.server
        server = normalise(named) if named else ""
        if not server:
            left.close(delivered=False)
            result.failed.append(
                (
                    described,
                    "its first line, which names the server, is damaged; say where to send it: --to http://...",
                )
            )
            continue
        if not server.startswith(("http://", "https://")):
            left.close(delivered=False)
            result.failed.append(
                (described, "it was logged without a server; say where to send it: --to http://...")
            )
            continue

        if server in away:
            left.close(delivered=False)
            result.failed.append((described, f"{away[server]} What was logged before goes first."))
            continue

        def refuse(text: bytes, message: str, server: str = server) -> None:
            keep_refused(shown_uri(server), text, message)
            result.refused.append((message, describe(text)))

        transport = Transport(server, retries=_RETRIES, timeout_seconds=TIMEOUT_SECONDS)
        delivery = Delivery(transport, refuse, Renamed(folder_of(shown_uri(server))))
        before = [left.sent.offset]

        def stop(left: LeftSpool = left, before: list[int] = before) -> bool:
            tell(left.sent.offset - before[0])
            before[0] = left.sent.offset
            return False

        try:
            send_left(left, delivery, stop)
        except SlipstreamError as error:
            result.failed.append((described, str(error)))
            if may_pass(error):
                away[server] = str(error)
        else:
            result.sent.append(described)
    result.busy = total - seen
    return result


def _all_left(folder: Path | None) -> Iterator[LeftSpool]:
    root = folder or spool_folder()
    if folder is not None and not folder.is_dir():
        raise NotFoundError(f"There is no folder '{folder}'.")
    if folder is not None and not list(_files(folder)):
        raise InvalidParameterError(f"Nothing that was logged is in '{folder}': it has no file *{SUFFIX}.")
    for each in sorted({path.parent for path in _files(root)}):
        yield from left_spools(each)


def _files(folder: Path | None) -> Iterator[Path]:
    root = folder or spool_folder()
    yield from root.glob(f"*{SUFFIX}")
    yield from root.glob(f"*/*{SUFFIX}")


def _describe(left: LeftSpool) -> Undelivered:
    head = left.head
    return Undelivered(left.path, head.server, head.program, head.host, head.time, left.left_bytes)
