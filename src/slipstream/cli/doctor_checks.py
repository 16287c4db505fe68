"""What `slipstream doctor` looks at: each check is a function that yields what it found."""

import difflib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import click
import msgspec

import slipstream
from slipstream import settings
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.client.addresses import get_tracking_uri
from slipstream.client.transport import Transport
from slipstream.db.base import Database
from slipstream.db.migrate import look
from slipstream.db.sqlite import SqliteDatabase
from slipstream.db.uri import artifact_folder, is_database_uri, open_database
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.httpd.logs import hide_secrets
from slipstream.webhooks.secrets import check_key

State = Literal["ok", "note", "warning", "error"]

EXTRAS: dict[str, tuple[str, str]] = {
    "data": ("duckdb", "SQL, Arrow and Parquet"),
    "cloud": ("obstore", "artifacts in S3, GCS and Azure"),
    "otel": ("opentelemetry.sdk", "traces of scoring servers"),
    "postgres": ("psycopg", "PostgreSQL as database"),
    "imports": ("google_crc32c", "fast imports of TensorBoard files, and of Parquet"),
    "system": ("psutil", "system metrics"),
    "sklearn": ("skops", "models of scikit-learn"),
    "xgboost": ("xgboost", "models of XGBoost"),
    "lightgbm": ("lightgbm", "models of LightGBM"),
    "statsmodels": ("statsmodels", "models of statsmodels"),
    "pytorch": ("torch", "models of PyTorch"),
    "keras": ("keras", "models of Keras"),
    "pyfunc": ("cloudpickle", "models that are Python functions"),
    "transformers": ("transformers", "Hugging Face pipelines"),
    "ray": ("ray", "deployments to Ray Serve"),
    "onnx-genai": ("onnxruntime_genai", "models of ONNX Runtime GenAI"),
    "webhooks": ("cryptography", "secrets of webhooks that are encrypted in the database"),
    "demo": ("matplotlib", "the demo"),
}
"""Each optional part: a module that it brings, and what it is for."""

PROBE_SECONDS = 5.0
SKEW_SECONDS = 5.0
"""Clocks that differ by more than this put points and runs into a wrong order."""
LEAST_FREE = 2**30
_SYNCS = 15
_SLOW_SYNC_MS = 20.0
_PAGE = 4096
_SECRET_WORDS = ("TOKEN", "PASSWORD", "SECRET", "KEY")


class Finding(msgspec.Struct, frozen=True):
    """One line of what was found."""

    check: str
    state: State
    found: str
    way_out: str = ""

    def without_secrets(self) -> "Finding":
        known = tuple(
            value
            for name, value in os.environ.items()
            if len(value) >= 4 and any(word in name.upper() for word in _SECRET_WORDS)
        )
        return Finding(
            self.check, self.state, hide_secrets(self.found, known), hide_secrets(self.way_out, known)
        )


def examine(uri: str | None) -> Iterator[Finding]:
    """Make all checks, whatever the ones before have found."""
    target = uri or get_tracking_uri()
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("python", check_python),
        ("settings", check_settings),
        ("home", check_home),
        ("tracking", lambda: check_target(target)),
        ("extras", check_extras),
        ("programs", check_programs),
    ]
    for name, check in checks:
        try:
            yield from check()
        except SlipstreamError as error:
            yield Finding(name, "error", str(error))
        except OSError as error:
            yield Finding(name, "error", f"{error.filename or ''} {error.strerror or error}".strip())


def check_python() -> Iterator[Finding]:
    venv = sys.prefix if sys.prefix != sys.base_prefix else "no virtual environment"
    yield Finding("slipstream", "ok", f"{slipstream.__version__} in {Path(slipstream.__file__).parent}")
    yield Finding("python", "ok", f"{platform.python_version()} ({venv}) on {platform.platform(terse=True)}")
    parts = [
        f"{name} {importlib.metadata.version(name)}" for name in ("apsw", "msgspec", "uvicorn", "urllib3")
    ]
    yield Finding("libraries", "ok", ", ".join(parts))


# -- settings ---------------------------------------------------------------------------------------


def known_variables() -> set[str]:
    """Return the names of all settings, and of the variables that stand for options of commands."""
    from slipstream.cli.main import main

    names: set[str] = set()
    for setting in settings.ALL.values():
        names |= {setting.name, *((setting.mlflow_name,) if setting.mlflow_name else ())}
    waiting: list[click.Command] = [main]
    while waiting:
        command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = [command.get_command(context, name) for name in command.list_commands(context)]
            waiting += [each for each in found if each is not None]
        for parameter in command.params:
            variables = parameter.envvar or []
            names |= {variables} if isinstance(variables, str) else set(variables)
    return names


def check_settings() -> Iterator[Finding]:
    wrong = False
    for setting in settings.ALL.values():
        try:
            setting.get()
        except InvalidParameterError as error:
            wrong = True
            text = str(error)
            if any(word in setting.name for word in _SECRET_WORDS):
                text = f"The value of {setting.name} is not valid."
            yield Finding("settings", "error", text)
    try:
        check_key()
    except SlipstreamError as error:  # it does not tell the key
        wrong = True
        yield Finding("settings", "error", str(error))
    known = known_variables()
    ours = [name for name in os.environ if name.startswith("SLIPSTREAM_") and name not in known]
    theirs = [name for name in os.environ if name.startswith("MLFLOW_") and name not in known]
    for name in sorted(ours):
        near = difflib.get_close_matches(name, known, 1, 0.8)
        way_out = f"Did you mean {near[0]}?" if near else "See docs/reference/settings.md, or unset it."
        yield Finding("settings", "warning", f"{name} is set, and no setting has that name.", way_out)
    if theirs:
        yield Finding(
            "settings",
            "note",
            f"MLflow's variables that slipstream does not read: {', '.join(sorted(theirs))}",
        )
    given = sorted(name for name in os.environ if name in known)
    if not wrong and not ours:
        yield Finding("settings", "ok", ", ".join(given) if given else "none is set")


def check_home() -> Iterator[Finding]:
    from slipstream.models.trust import home

    yield _writable("home", home(), f"Set {settings.HOME.name} to a folder that this user may write to.")


# -- where runs go ----------------------------------------------------------------------------------


def check_target(uri: str) -> Iterator[Finding]:
    if urlsplit(uri).scheme in ("http", "https"):
        yield from check_server(uri)
    elif is_database_uri(uri):
        yield from check_database(uri)
    elif uri.endswith(".db"):
        yield from check_database(f"sqlite:///{uri}")
    else:
        yield Finding(
            "tracking",
            "error",
            f"'{uri}' is neither a server nor a database.",
            "Set SLIPSTREAM_TRACKING_URI to http://host:port, sqlite:///file.db or postgresql://user@host/database.",
        )


def check_server(uri: str) -> Iterator[Finding]:
    transport = Transport(uri)
    shown = transport.base_url
    try:
        transport.probe("/health", PROBE_SECONDS)  # the first one pays for the connection
        began, asked = time.perf_counter(), time.time()
        status, headers, _ = transport.probe("/health", PROBE_SECONDS)
        took = time.perf_counter() - began
        yield Finding("tracking", "ok", f"{shown} answers in {took * 1000:.1f} ms")
        yield from _skew("the server's", headers.get("Date"), asked + took / 2)
        path = "/api/2.0/mlflow/experiments/search?max_results=1"
        status, headers, body = transport.probe(path, PROBE_SECONDS)
        if status == 401:
            yield Finding(
                "access",
                "error",
                f"{shown} wants to know who asks (401).",
                f"Set {settings.TRACKING_TOKEN.name} to the server's token.",
            )
        elif status != 200:
            yield Finding(
                "access", "error", f"{shown} answered {status}: {body[:200].decode('utf-8', 'replace')}"
            )
        else:
            yield Finding("access", "ok", "experiments can be read")
            status, _, body = transport.probe("/version", PROBE_SECONDS)
            if status == 200:
                yield Finding(
                    "server", "ok", f"speaks as MLflow {body[:40].decode('utf-8', 'replace').strip()}"
                )
            status, _, _ = transport.probe("/api/2.0/mlflow-artifacts/artifacts?path=", PROBE_SECONDS)
            served = "the server passes them on" if status == 200 else f"not through this server ({status})"
            yield Finding("artifacts", "ok" if status == 200 else "note", served)
    except SlipstreamError as error:
        yield Finding(
            "tracking", "error", str(error), f"Start the server, or correct {settings.TRACKING_URI.name}."
        )
    finally:
        transport.close()


def _skew(whose: str, date: str | None, here: float) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(date or "").timestamp() + 0.5  # it has no fractions
    except ValueError:
        yield Finding("clock", "note", f"{whose} clock is not known: it answers without a date")
        return
    off = there - here
    if abs(off) <= SKEW_SECONDS:
        yield Finding("clock", "ok", f"as {whose}, within {SKEW_SECONDS:g} s")
        return
    yield Finding(
        "clock",
        "warning",
        f"{whose} clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's.",
        "Set both by NTP: points and runs are ordered by time.",
    )


def check_database(uri: str) -> Iterator[Finding]:
    database = open_database(uri)
    where = database.describe()
    if isinstance(database, SqliteDatabase) and not database.path.exists():
        yield Finding("tracking", "note", f"{where} is not there yet; the first run or server makes it")
    else:
        state = look(database)
        yield Finding("tracking", "ok", f"{where}, {database.count_bytes() / 2**20:.1f} MiB")
        if state.pending:
            yield Finding(
                "schema",
                "note",
                f"{state.number}; {', '.join(state.pending)} will be applied by the next run or server that starts",
                "See slipstream db status.",
            )
        else:
            yield Finding("schema", "ok", f"{state.number}, the newest")
    if isinstance(database, SqliteDatabase):
        yield _writable("database", database.path.parent, "SQLite writes files beside the database.")
        yield _free("disk", database.path.parent)
        yield from _fsync(database.path.parent)
    else:
        yield from _clock_of(database)
    folder = artifact_folder(uri)
    root = settings_artifact_root()
    if root is not None and not is_local(root):
        yield Finding("artifacts", "note", f"{root}, which the server checks when it starts")
        return
    folder = folder if root is None else local_folder(root).absolute()
    yield _writable("artifacts", folder, "Name another with --artifacts-destination.")
    yield _free("artifacts", folder)


def settings_artifact_root() -> str | None:
    """Return where a server started here would keep artifacts, if the environment says so."""
    for name in ("SLIPSTREAM_ARTIFACTS_DESTINATION", "MLFLOW_ARTIFACTS_DESTINATION"):
        if os.environ.get(name):
            return os.environ[name]
    return None


def _clock_of(database: Database) -> Iterator[Finding]:
    connection = database.connect()
    try:
        with connection.read() as tx:
            row = tx.fetch_one("SELECT extract(epoch FROM clock_timestamp())::float8")
    finally:
        connection.close()
    assert row is not None
    off = row[0] - time.time()
    state: State = "ok" if abs(off) <= SKEW_SECONDS else "warning"
    yield Finding("clock", state, f"the database's is {off:+.1f} s off this machine's")


# -- disks ------------------------------------------------------------------------------------------


def _nearest(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _writable(check: str, folder: Path, way_out: str) -> Finding:
    there = _nearest(folder.absolute())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return Finding(check, "error", f"{there} cannot be written to: {error.strerror or error}.", way_out)
    return Finding(check, "ok", f"{folder} can be written to")


def _free(check: str, folder: Path) -> Finding:
    there = _nearest(folder.absolute())
    usage = shutil.disk_usage(there)
    text = f"{usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.1f} at {there}"
    if usage.free < LEAST_FREE:
        return Finding(check, "warning", f"Only {text}.", "Make room: a full disk refuses writes.")
    return Finding(check, "ok", text)


def _fsync(folder: Path) -> Iterator[Finding]:
    """Measure what a durable commit costs at least."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=_nearest(folder)) as file:
        for _ in range(_SYNCS):
            file.write(bytes(_PAGE))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    median = statistics.median(times)
    text = f"the disk stores durably in {median:.2f} ms (median of {_SYNCS})"
    if median > _SLOW_SYNC_MS:
        yield Finding(
            "durability",
            "warning",
            f"{text}, which is slow.",
            "Use a local disk, or --durability normal if a power cut may cost the last writes.",
        )
    else:
        yield Finding("durability", "ok", text)


# -- what else there is -----------------------------------------------------------------------------


def check_extras() -> Iterator[Finding]:
    for name, (module, purpose) in EXTRAS.items():
        if _is_there(module):
            yield Finding("extra", "ok", f"{name}: {purpose}")
        else:
            yield Finding(
                "extra", "note", f"{name} is not installed: {purpose}.", f"pip install 'slipstream[{name}]'"
            )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False


def check_programs() -> Iterator[Finding]:
    for name, purpose in (
        ("git", "projects from git, and the commit of runs"),
        ("docker", "projects in containers"),
    ):
        found = shutil.which(name)
        if found:
            yield Finding("program", "ok", f"{name}: {found}")
        else:
            yield Finding("program", "note", f"{name} is not on PATH: {purpose}")
