"""S3 servers in processes of their own: moto's and nanio, which share no code, on 127.0.0.1."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import urllib3

from server_process import ServerProcess

KEY = "slipstream-tests"
SECRET = "slipstream-tests-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ObjectServer:
    """An S3 server that can be killed and started again on its port; what it keeps is in `folder`, or gone."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        bin_folder = Path(sys.executable).parent
        if self.kind == "moto":
            command = [str(bin_folder / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]
        else:
            command = [
                *(str(bin_folder / "nanio"), "serve", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--data-dir", str(self.folder), "--log-level", "error", "--no-access-log"),
            ]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET},
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{self.kind} did not start"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.kind} did not start")

    def stop(self, how: int = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(20)

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to work with this server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "MLFLOW_S3_ENDPOINT_URL": self.url,
        }

    def make_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"b{uuid.uuid4().hex[:16]}"
        with self.using():
            from slipstream.artifact_store.s3_requests import S3Requests

            answer = urllib3.request("PUT", S3Requests.from_environment(name).sign("PUT", "", {}, 60))
        assert answer.status == 200, answer.data
        return name

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        with environment(self.environment):
            yield


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def server_before(uri: str, folder: Path) -> ServerProcess:
    """Start a tracking server before an object store, and wait until it has looked for abandoned uploads.

    moto says that every upload began in 2010, so the search would abort those of a test, too.
    """
    with environment({"SLIPSTREAM_LOGGING_LEVEL": "INFO"}):
        server = ServerProcess(folder, "--artifacts-destination", uri)
    deadline = time.monotonic() + 60
    while not any("were looked for" in line for line in server.lines):
        assert time.monotonic() < deadline, server.lines
        time.sleep(0.02)
    return server
