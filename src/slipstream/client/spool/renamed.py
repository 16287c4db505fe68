"""Ids that a server chose itself for runs and models that began here, while it was away.

MLflow's servers take no ids that others chose. Such a run is created there when what was logged is delivered, and from then on
what names it by the id of here is sent with the id of there. Which belongs to which is in a file of the server's folder, a line
each, so that programs that come later know it, too; and the run there has a tag with the id of here.
"""

import os
import re
import threading
from pathlib import Path

RENAMED = "renamed.txt"
RUN_TAG = "slipstream.runId"
MODEL_TAG = "slipstream.modelId"
_PARTS = 2


class Renamed:
    """The ids of one server. Thread-safe; sees what other processes add."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RENAMED
        self._there: dict[str, str] = {}
        self._size = 0
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, here: str, there: str) -> None:
        """Note, for good, what the server calls something.

        Raises:
            OSError: it cannot be written.
        """
        self._read()
        if self._there.get(here) == there:
            return
        with self._lock:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, f"{here} {there}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        self._read()

    def of(self, here: str) -> str:
        """Return what the server calls something: the same, unless it chose an id of its own."""
        self._read()
        return self._there.get(here, here)

    def knows(self, here: str) -> bool:
        """Tell whether the server has something under an id of its own."""
        self._read()
        return here in self._there

    def translate(self, text: bytes) -> bytes:
        """Return a text with the ids of there; ids are random, so nothing else looks like one."""
        self._read()
        pattern = self._pattern
        if pattern is None:
            return text
        return pattern.sub(lambda match: self._there[match[0]], text.decode()).encode()

    def _read(self) -> None:
        try:
            size = self._path.stat().st_size
        except OSError:  # nothing was ever renamed
            return
        if size == self._size:
            return
        with self._lock:
            lines = [line.split(" ") for line in self._path.read_text("utf-8").splitlines()]
            self._there = {line[0]: line[1] for line in lines if len(line) == _PARTS and all(line)}
            self._pattern = (
                re.compile("|".join(re.escape(each) for each in self._there)) if self._there else None
            )
            self._size = size
