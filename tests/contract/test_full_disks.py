"""A disk that is full, under the database or under the artifacts: refused, never half stored, and then it goes on."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from server_process import ServerProcess
from tracking_client import TrackingClient

PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
FULL = Callable[[ServerProcess], AbstractContextManager[None]]


def put(client: TrackingClient, path: str, content: bytes) -> int:
    client.connection.request("PUT", PROXY + path, content)
    response = client.connection.getresponse()
    response.read()
    return response.status


@contextmanager
def no_file_may_grow(server: ServerProcess) -> Iterator[None]:
    """Let no file of the server become larger than the largest is; the system's answer differs, but not what is lost."""
    sizes = [path.stat().st_size for path in server.folder.rglob("*") if path.is_file()]
    old = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (max(sizes), old[1]))
    yield
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, old)


@contextmanager
def disk_is_full(server: ServerProcess) -> Iterator[None]:
    """Fill the small disk that the server's folder is on."""
    ballast = server.folder / "ballast"
    free = os.statvfs(server.folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
    yield
    ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root; a limit on file sizes stands in for it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(params=["limit", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, FULL]:
    if request.param == "disk":
        return request.getfixturevalue("small_disk"), disk_is_full
    return tmp_path, no_file_may_grow


def test_a_full_disk(place: tuple[Path, FULL]) -> None:
    folder, full = place
    server = ServerProcess(folder)
    with TrackingClient(server.url) as client:
        run: str = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        assert put(client, f"0/{run}/artifacts/before.bin", bytes(100_000)) == 200
        stored: set[str] = set()
        refused: set[str] = set()

        def log(number: int) -> None:
            """Log a hundred params of which either all are there afterwards, or none."""
            params = [{"key": f"{number}-{each}", "value": "v" * 500} for each in range(100)]
            answer = client.ask("POST", "runs/log-batch", {"run_id": run, "params": params})
            kind = stored if answer.status == 200 else refused
            kind.update(param["key"] for param in params)

        for number in range(3):
            log(number)
        assert refused == set()
        with full(server):
            for number in range(3, 40):
                log(number)
            assert refused
            # What takes no room is done all the same.
            assert client.get(f"runs/get?run_id={run}")["run"]["info"]["run_id"] == run
            assert put(client, f"0/{run}/artifacts/during.bin", bytes(6_000_000)) == 507
            assert put(client, f"0/{run}/artifacts/before.bin", bytes(6_000_000)) == 507
            listed = client.get(f"artifacts/list?run_id={run}")["files"]
            assert [(file["path"], int(file["file_size"])) for file in listed] == [("before.bin", 100_000)]
        log(100)
        assert {key for key in stored if key.startswith("100-")}
        assert put(client, f"0/{run}/artifacts/after.bin", bytes(100_000)) == 200
    server.kill()

    again = ServerProcess(folder)
    with TrackingClient(again.url) as client:
        params = client.get(f"runs/get?run_id={run}")["run"]["data"]["params"]
        assert {param["key"] for param in params} == stored
        listed = client.get(f"artifacts/list?run_id={run}")["files"]
        assert {file["path"] for file in listed} == {"before.bin", "after.bin"}
    assert again.stop() == 0
    left = [name for _, _, names in os.walk(folder / "artifacts") for name in names]
    assert sorted(left) == ["after.bin", "before.bin"]
