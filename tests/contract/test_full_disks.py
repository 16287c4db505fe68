"""A disk that is full, under the database or under the artifacts: refused, never half stored, and then it goes on."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from postgres_cluster import PostgresCluster
from server_process import ServerProcess
from tracking_client import TrackingClient

PROXY = "/api/2.0/mlflow-artifacts/artifacts/"


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
def disk_is_full(folder: Path) -> Iterator[None]:
    """Fill the small disk that a folder is on."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
    yield
    ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root; a limit on file sizes stands in for it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def log_until(client: TrackingClient, run: str, first: int, end: int) -> set[str]:
    """Log hundreds of params, each of which is there as a whole afterwards or not at all; return those that were taken."""
    stored: set[str] = set()
    for number in range(first, end):
        params = [{"key": f"{number}-{each}", "value": "v" * 500} for each in range(100)]
        if client.ask("POST", "runs/log-batch", {"run_id": run, "params": params}).status == 200:
            stored.update(param["key"] for param in params)
    return stored


def log_until_refused(client: TrackingClient, run: str) -> set[str]:
    stored: set[str] = set()
    for number in range(100, 200):
        taken = log_until(client, run, number, number + 1)
        if not taken:
            return stored
        stored |= taken
    raise AssertionError("the disk is not full")


@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_full_disk(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue("small_disk") if kind == "disk" else tmp_path
    server = ServerProcess(folder)
    with TrackingClient(server.url) as client:
        run: str = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        assert put(client, f"0/{run}/artifacts/before.bin", bytes(100_000)) == 200
        stored = log_until(client, run, 0, 3)
        assert len(stored) == 300
        with disk_is_full(folder) if kind == "disk" else no_file_may_grow(server):
            stored |= log_until_refused(client, run)
            # What takes no room is done all the same.
            assert client.get(f"runs/get?run_id={run}")["run"]["info"]["run_id"] == run
            assert put(client, f"0/{run}/artifacts/during.bin", bytes(6_000_000)) == 507
            assert put(client, f"0/{run}/artifacts/before.bin", bytes(6_000_000)) == 507
            listed = client.get(f"artifacts/list?run_id={run}")["files"]
            assert [(file["path"], int(file["file_size"])) for file in listed] == [("before.bin", 100_000)]
        stored |= log_until(client, run, 1000, 1001)
        assert "1000-0" in stored
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


def test_a_full_disk_under_postgres(
    start_postgres: Callable[..., PostgresCluster], small_disk: Path, tmp_path: Path
) -> None:
    cluster = start_postgres(fsync=False)
    owner = (cluster.folder / "data").stat()
    space = small_disk / "space"
    space.mkdir()
    for folder in (small_disk, space):
        os.chown(folder, owner.st_uid, owner.st_gid)
    for folder in (tmp_path, *list(tmp_path.parents)[:-1]):  # its user must get there
        folder.chmod(folder.stat().st_mode | 0o011)
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        connection.execute("CREATE DATABASE tracking TEMPLATE template0 TABLESPACE small")
    backend = cluster.url("tracking")
    server = ServerProcess(tmp_path, backend=backend)
    with TrackingClient(server.url) as client:
        run: str = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        stored = log_until(client, run, 0, 3)
        with disk_is_full(small_disk):
            stored |= log_until_refused(client, run)
            assert client.get(f"runs/get?run_id={run}")["run"]["info"]["run_id"] == run
        more = log_until(client, run, 1000, 1003)
        assert len(more) == 300
        params = client.get(f"runs/get?run_id={run}")["run"]["data"]["params"]
        assert {param["key"] for param in params} == stored | more
    assert server.stop() == 0
    cluster.stop()  # or the disk would be in use
