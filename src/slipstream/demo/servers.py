"""Servers that the demo starts as processes of their own, and ends unless asked not to."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Self

from slipstream.errors import ExecutionError

_URL = re.compile(r"\b(https?://(?:[\w.-]+|\[[0-9a-f:]+\]):\d+)")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_SHOWN_LINES = 5


class ServerProcess:
    """A `slipstream` server command on a port of its own choice, whose output goes to a file.

    As a context manager it ends the server with the block, unless `keep` was called.
    """

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        """Start the server and wait until it answers.

        Raises:
            ExecutionError: it ended instead, or said nothing for a minute; the message has its last lines.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._kept = False
        with self.log.open("wb") as output:
            self._process = self._start(arguments, output)
        try:
            self.url = self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def keep(self) -> None:
        """Let the server run on when this process ends."""
        self._kept = True
        # Or the interpreter would warn of a process that nobody waited for.
        self._process.returncode = 0

    def stop(self) -> None:
        """End the server: kindly, then by force."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._kept:
            self.stop()

    @staticmethod
    def _start(arguments: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        # Through Python itself, since the program `slipstream` need not be on PATH.
        code = "from slipstream.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-u", "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its servers itself
        )

    def _wait(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            text = self.log.read_text(encoding="utf-8", errors="replace")
            if (found := _URL.search(text)) is not None and not ended:
                return found[1]
            if ended:
                break
            time.sleep(_POLL_SECONDS)
        said = " ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])
        raise ExecutionError(
            f"The {self.name} server did not start: {said.removeprefix('error: ') or 'it said nothing'}"
        )
