"""A tracking server in a process of its own, for tests that talk to it, stop it or kill it."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


class ServerProcess:
    """`slipstream server` on a free port; `url` is known when the constructor returns."""

    def __init__(self, folder: Path, *options: str, backend: str | None = None) -> None:
        uri = backend or f"sqlite:///{folder / 'server.db'}"
        command = [
            *(sys.executable, "-m", "slipstream", "server", "--port", "0", "--backend-store-uri", uri),
            *("--artifacts-destination", str(folder / "artifacts"), *options),
        ]
        self._launch(command, folder)

    def _launch(self, command: list[str], folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=dict(os.environ),
        )
        assert self.process.stderr is not None
        self.lines: list[str] = []
        self.url = self._wait(self.process.stderr)
        self._drain = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._drain.start()

    def _wait(self, stderr: IO[str]) -> str:
        for line in stderr:
            self.lines.append(line)
            found = re.search(r"http://[\w.:/\[\]-]+", line)
            if found:
                return found[0]
        raise AssertionError(f"the server did not start:\n{''.join(self.lines)}")

    def _read(self, stderr: IO[str]) -> None:
        for line in stderr:
            self.lines.append(line)

    def kill(self) -> None:
        """End it as a power cut would: no clean-up of any kind."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self._close()
        return code

    def _close(self) -> None:
        self._drain.join(timeout=5)
        if self.process.stderr is not None:
            self.process.stderr.close()


class RelayProcess(ServerProcess):
    """`slipstream relay` in front of a server that need not be there; by default on a free port."""

    def __init__(self, folder: Path, to: str, *options: str) -> None:
        command = [sys.executable, "-m", "slipstream", "relay", "--to", to, "--port", "0", *options]
        self._launch(command, folder)
