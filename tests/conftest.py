"""What every test may use: a clean environment, a PostgreSQL database of its own; and a loud list of skips."""

import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import pytest

import living_children
import postgres_cluster
from postgres_cluster import PostgresCluster

NOTHING_BESIDE_RUNS = {
    "SLIPSTREAM_CAPTURE": "none",
    "SLIPSTREAM_CONSOLE": "false",
    "SLIPSTREAM_WATCHER": "false",
    "SLIPSTREAM_HEARTBEAT_SECONDS": "0",
}
# Where `set_tracking_uri` and its like are told to child processes.
LEFT = ("SLIPSTREAM_TRACKING_URI", "SLIPSTREAM_REGISTRY_URI")
MEETING = pytest.StashKey[Path]()

# Time differs from machine to machine, so no example fails for being slow.
hypothesis.settings.register_profile("slipstream", deadline=None, print_blob=True)
hypothesis.settings.load_profile("slipstream")


# -- the environment --------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos-seconds", default="20", help="how long everything goes wrong in tests/wire/test_chaos.py"
    )
    parser.addoption("--chaos-seed", default="1", help="what it does so by")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder where its workers meet and a home of its own, and forget the user's settings."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a shell: what tests start would ignore Ctrl-C, too, and some test just that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        # MLFLOW_PYTHON is for the tests: an interpreter with a real MLflow server.
        if name.startswith(("MLFLOW_", "SLIPSTREAM_")) and name != "MLFLOW_PYTHON":
            del os.environ[name]
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput is None:
        config.pluginmanager.register(SaysAtOnce(config))
        config.stash[MEETING] = Path(tempfile.mkdtemp(prefix="slipstream-tests-"))
    else:
        config.stash[MEETING] = Path(workerinput["meeting"])
    # Trusted digests and environments go here, never into the home of who runs the tests.
    home = config.stash[MEETING] / f"home-{os.getpid()}"
    os.environ["SLIPSTREAM_HOME"] = str(home)
    os.environ["XDG_DATA_HOME"] = str(home / "data")  # for tests that take all our variables away
    os.environ["MPLBACKEND"] = "agg"
    # Programs that tests start are many and short; those that are about what goes on beside runs ask for it.
    os.environ.update(NOTHING_BESIDE_RUNS)
    # The real mlflow client, where a test runs it, must not report to anyone.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_configure_node(node: Any) -> None:
    node.workerinput["meeting"] = str(node.config.stash[MEETING])


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or MEETING not in config.stash:
        return
    try:
        postgres_cluster.remove_shared(config.stash[MEETING])
    finally:
        shutil.rmtree(config.stash[MEETING], ignore_errors=True)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Take back what the SDK keeps in this process and leaves for child processes: later tests start some."""
    before = {name: os.environ.get(name) for name in LEFT}
    addresses = sys.modules.get("slipstream.client.addresses")  # tests which do not track do not load the SDK
    chosen = dict(addresses._chosen) if addresses else {}
    yield
    os.environ.pop("SLIPSTREAM_EXPERIMENT_ID", None)
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if addresses := sys.modules.get("slipstream.client.addresses"):
        addresses._chosen.clear()
        addresses._chosen.update(chosen)


# -- PostgreSQL -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs; skips the test where there is none."""
    programs = postgres_cluster.find_programs()
    if programs is None:
        pytest.skip(postgres_cluster.ABSENT)
    return programs


@pytest.fixture(scope="session")
def postgres_server(postgres_programs: Path, pytestconfig: pytest.Config) -> PostgresCluster:
    """The run's PostgreSQL server, shared by all workers. Not for tests that stop or kill it."""
    return postgres_cluster.shared_cluster(pytestconfig.stash[MEETING], postgres_programs)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresCluster) -> str:
    """URI of the shared server's `postgres` database, as superuser. For a database to write to: `postgres_database`."""
    return postgres_server.url()


@pytest.fixture
def postgres_database(postgres_server: PostgresCluster) -> Iterator[str]:
    """URI of an empty database that only this test sees."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def start_postgres(postgres_programs: Path) -> Iterator[Callable[..., PostgresCluster]]:
    """Start a server that belongs to this test alone, which may kill it: `start_postgres(fsync=True)`."""
    clusters: list[PostgresCluster] = []

    def start(*, fsync: bool = True) -> PostgresCluster:
        clusters.append(PostgresCluster.create(postgres_programs, fsync=fsync))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.remove()


# -- what fails, and where a test that hangs stands ------------------------------------------------------


class SaysAtOnce:
    """Names each test that fails when it fails: a run that is ended from outside says nothing at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f" {report.nodeid} failed ({report.when})")


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    fails = signal.getsignal(signal.SIGALRM)

    def tell_and_fail(number: int, frame: FrameType | None) -> None:
        # Now: the failure lets `subprocess.run` end what it waits for.
        children = living_children.tell_of_children()
        item.add_report_section("call", "processes that it had started", children)
        if callable(fails):
            fails(number, frame)

    signal.signal(signal.SIGALRM, tell_and_fail)
    return result


# -- what was not run, and why ----------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List skips by reason, so that a green run does not hide what it left out."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if not reasons:
        return
    terminalreporter.section("not run here", yellow=True)
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} skipped: {reason}", yellow=True)
