"""A tracking server that knows two scoring servers, with models to look at: what tests of model pages begin with."""

import os
import subprocess
import sys
import time
from pathlib import Path

from fake_scoring_server import FakeScoringServer
from free_port import free_port
from server_process import ServerProcess

PATIENCE_SECONDS = 60.0
SEED = Path(__file__).with_name("models_seed.py")


class ModelsSetup:
    """`server` is the tracking server; of its scoring servers `real` is started by `serve`, `fake` is here already."""

    def __init__(self, folder: Path, seed: Path = SEED) -> None:
        self.fake = FakeScoringServer(
            [{"id": "talker", "version": "1", "task": "llm/v1/chat"}, {"id": "m", "version": "3"}]
        )
        self._port = free_port()
        self.server = ServerProcess(
            folder,
            *("--durability", "normal"),
            *("--serving-url", f"real=http://127.0.0.1:{self._port}"),
            *("--serving-url", f"fake={self.fake.url}"),
        )
        self._folder = folder
        self._scoring: subprocess.Popen[bytes] | None = None
        seeded = subprocess.run(
            [sys.executable, str(seed), self.server.url],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        assert seeded.returncode == 0, seeded.stderr

    def serve(self, *uris: str) -> None:
        """Start `slipstream models serve`, and wait until it answers."""
        models = [part for uri in uris for part in ("-m", uri)]
        log = self._folder / "scoring.log"
        with log.open("w") as output:
            self._scoring = subprocess.Popen(
                [
                    *(sys.executable, "-m", "slipstream", "models", "serve", *models),
                    *("--port", str(self._port), "--trust", "--refresh-seconds", "1"),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "SLIPSTREAM_TRACKING_URI": self.server.url},
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while "Serving " not in log.read_text():
            assert self._scoring.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._scoring is not None:
            self._scoring.terminate()
            self._scoring.wait(timeout=30)
        self.fake.close()
        self.server.stop()
