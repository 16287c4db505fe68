"""Private PostgreSQL servers for tests: made in a temporary folder, on a free port of 127.0.0.1, gone afterwards.

PostgreSQL refuses to run as root, so root starts it as the user `postgres` or `nobody`.
"""

import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_ATTEMPTS = 5
KILL_CHECKS = 200
ABSENT = (
    "PostgreSQL's server programs are not installed: apt-get install postgresql, "
    "or put the folder of initdb and postgres on PATH"
)


def find_programs() -> Path | None:
    """Return the folder of initdb, pg_ctl and postgres of the newest PostgreSQL on this machine."""
    candidates: list[Path] = []
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(answer.stdout.strip() or "/nonexistent"))
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    if initdb := shutil.which("initdb"):
        candidates.append(Path(initdb).resolve().parent)
    needed = ("initdb", "pg_ctl", "postgres")
    return next((c for c in candidates if all((c / name).exists() for name in needed)), None)


def _other_user() -> dict[str, Any]:
    """Return arguments of `subprocess.run` that drop root's rights; none for another user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and neither `postgres` nor `nobody` is a user here")


@dataclass(frozen=True)
class PostgresCluster:
    """One PostgreSQL server and its data."""

    programs: Path
    folder: Path
    port: int
    password: str
    fsync: bool

    @classmethod
    def create(cls, programs: Path, *, fsync: bool) -> "PostgresCluster":
        """Make a cluster and start it.

        Args:
            programs: what `find_programs` returned.
            fsync: whether a commit reaches the disk. Off costs less and survives a killed process,
                but not a power cut; on is for tests that ask about durability.
        """
        folder = Path(tempfile.mkdtemp(prefix="slipstream-postgres-"))
        other = _other_user()
        if other:
            os.chown(folder, other["user"], other["group"])
        password = secrets.token_hex(16)
        secret = folder / "password"
        secret.write_text(password)
        if other:
            os.chown(secret, other["user"], other["group"])
        cluster = cls(programs, folder, 0, password, fsync)
        argv = ["initdb", "--pgdata", str(folder / "data"), "--username", "slipstream", "--encoding", "UTF8"]
        # A collation that is not byte order, as real servers have: an ORDER BY that forgets COLLATE "C" shows.
        argv += (
            ["--locale", "C", "--locale-provider", "icu", "--icu-locale", "en"] if _has_icu(programs) else []
        )
        argv += ["--auth", "password", "--pwfile", str(secret), "--no-sync"]
        cluster._call(argv)
        for attempt in range(START_ATTEMPTS):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            cluster = cls(programs, folder, port, password, fsync)
            try:
                cluster.start()
            except RuntimeError:  # the port was taken in the meantime, or a true failure: then it repeats
                if attempt == START_ATTEMPTS - 1:
                    raise
            else:
                break
        return cluster

    def url(self, database: str = "postgres") -> str:
        """Return the URI of a database of this server, with the superuser's password."""
        return f"postgresql://slipstream:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "autovacuum": "off",
            "timezone": "UTC",
        }
        if not self.fsync:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = self.folder / "log"
        argv = ["pg_ctl", "start", "--wait", "--silent", "--pgdata", str(self.folder / "data")]
        argv += ["--log", str(log), "--options", flags]
        for attempt in range(START_ATTEMPTS):
            log.unlink(missing_ok=True)
            try:
                return self._call(argv, log)
            except RuntimeError as error:
                # The children of a killed server take a moment to notice and to let go of its shared memory.
                if "shared memory block" not in str(error) or attempt == START_ATTEMPTS - 1:
                    raise
                time.sleep(0.5)
        return None

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; does nothing when it is down. `fast` is orderly, `immediate` is as a crash."""
        if self.pid() is not None:
            self._call(
                [
                    "pg_ctl",
                    "stop",
                    "--wait",
                    "--silent",
                    "--mode",
                    mode,
                    "--pgdata",
                    str(self.folder / "data"),
                ]
            )

    def kill(self) -> None:
        """Kill the server's main process as a crash would, and wait until it is gone. `start` recovers."""
        if (pid := self.pid()) is None:
            raise RuntimeError("the server is not running")
        os.kill(pid, signal.SIGKILL)
        for _ in range(KILL_CHECKS):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        raise RuntimeError(f"process {pid} is still there after SIGKILL")

    def pid(self) -> int | None:
        """Return the main process, or `None` when the server was stopped."""
        try:
            return int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        """Stop the server and delete its data."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder)

    def _call(self, argv: list[str], log: Path | None = None) -> None:
        # A file, since a pipe would stay open in the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(self.programs / argv[0]), *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LC_ALL": "C"},
                timeout=120,
                check=False,
                **_other_user(),
            )
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        if done.returncode != 0:
            logged = log.read_text("utf-8", "replace")[-2000:] if log is not None and log.exists() else ""
            raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {said}{logged}")


def _has_icu(programs: Path) -> bool:
    answer = subprocess.run([str(programs / "initdb"), "--help"], capture_output=True, text=True, check=False)
    return "--icu-locale" in answer.stdout


# -- one server for all workers of a test run -----------------------------------------------------------


def shared_cluster(meeting: Path, programs: Path) -> PostgresCluster:
    """Return the run's one cluster; the first worker that asks makes it.

    `meeting` is a folder that all workers of this run know. Whoever made the folder calls `remove_shared`.
    """
    record = meeting / "cluster.json"
    with _locked(meeting / "lock"):
        if record.exists():
            known = json.loads(record.read_text())
            return PostgresCluster(
                programs, Path(known["folder"]), known["port"], known["password"], fsync=False
            )
        cluster = PostgresCluster.create(programs, fsync=False)
        found = {"folder": str(cluster.folder), "port": cluster.port, "password": cluster.password}
        record.write_text(json.dumps(found))
        return cluster


def remove_shared(meeting: Path) -> None:
    """Remove the run's cluster, if a worker made one."""
    programs = find_programs()
    if programs is not None and (meeting / "cluster.json").exists():
        shared_cluster(meeting, programs).remove()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
