"""Numbers of all worker processes of one server: whichever of them is asked, asks the others over local sockets."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

FOLDER_VARIABLE = "_SLIPSTREAM_WORKERS_FOLDER"
"""Where each worker has a socket; set by their parent, which makes and removes the folder."""
_PATIENCE_SECONDS = 2.0

_logger = logging.getLogger(__name__)


class Siblings:
    """The other workers. `tell` returns what they are told of this one."""

    def __init__(self, folder: Path, tell: Callable[[], bytes]) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}.sock"
        self._tell = tell
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._answer, self._own)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._own.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self._tell())
            await writer.drain()
        except ConnectionError:  # it asked and went
            return
        finally:
            writer.close()

    async def ask_all(self) -> list[bytes]:
        """Return what each of the others tells; those that ended or hang are left out."""
        others = [path for path in self._folder.glob("*.sock") if path != self._own]
        told = await asyncio.gather(*(self._ask(path) for path in others))
        return [each for each in told if each]

    async def _ask(self, path: Path) -> bytes:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                with contextlib.closing(writer):
                    return await reader.read()
        except ConnectionRefusedError:  # a worker that was killed has left it
            path.unlink(missing_ok=True)  # noqa: ASYNC240  # a local name, gone at once
        except (OSError, TimeoutError) as error:
            _logger.warning("The numbers of a worker (%s) are missing from /metrics: %s", path.stem, error)
        return b""
