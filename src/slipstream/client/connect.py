"""From a URI to a store: in this process for databases, over HTTP for servers."""

import atexit
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from slipstream import settings
from slipstream.client import addresses
from slipstream.errors import InvalidParameterError

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore
    from slipstream.client.transport import Transport
    from slipstream.store.base import Store

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_HTTP = ("http://", "https://")
OFFLINE = "offline"
"""The address of no server: what is logged is kept on this machine until `slipstream sync --to` sends it."""
_WITH_DRIVER = re.compile(r"^(sqlite|postgresql|postgres)\+\w+(://.*)$", re.DOTALL)


class Connection:
    """A tracking address that is in use: its store, and the artifact stores reachable through it."""

    def __init__(self, uri: str, store: "Store", transport: "Transport | None") -> None:
        self.uri = uri
        self.store = store
        self.transport = transport
        """How to reach the server; `None` where the store is in this process."""
        self._elsewhere: dict[str, Transport] = {}

    def artifacts(self, uri: str, *, patient: bool = True) -> "ArtifactStore":
        """Open the files below a storage URI.

        Args:
            uri: the storage URI.
            patient: whether to try again for minutes while the tracking server is away, as the settings say.

        Raises:
            InvalidParameterError: the URI needs a server (`mlflow-artifacts:`) and there is none, or
                nothing can open its scheme. An `http(s):` URI of another server is opened without the
                credentials of this one; it may bring its own (`http://user:password@host/...`). For `runs:` and `models:` see `client.artifacts.resolve_uri`.
        """
        from slipstream.client.storage import open_artifacts

        impatient = None if patient else getattr(self.store, "impatient_transport", None)
        return open_artifacts(uri, impatient or self.transport, self._connect_to)

    def _connect_to(self, server: str) -> "Transport":
        """Reach another server than the one tracked to, which is not told the credentials of this one."""
        from slipstream.client.transport import Transport

        return self._elsewhere.setdefault(server, Transport(server, identify=False))

    def close(self) -> None:
        """Write out what is queued and let go of files and sockets."""
        if (
            close := getattr(self.store, "close", None)
        ) is not None:  # all but one that asks the server for each value
            close()
        for transport in self._elsewhere.values():
            transport.close()
        if self.transport is not None:
            self.transport.close()

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until what was logged is stored; by default as long as SLIPSTREAM_DELIVERY_TIMEOUT says. Tell whether it is."""
        flush = getattr(self.store, "flush", None)
        return True if flush is None else flush(seconds)

    def pause(self) -> None:
        """Let go of the database for the moment of a fork."""
        if (pause := getattr(self.store, "pause", None)) is not None:
            pause()

    def resume(self) -> None:
        """Take the database again after the fork."""
        if (resume := getattr(self.store, "resume", None)) is not None:
            resume()


_connections: dict[str, Connection] = {}
_lock = threading.Lock()
_abandoned: list[Connection] = []


def connect(uri: str | None = None) -> Connection:
    """Return the process's connection to a tracking address, `None` being the current one.

    Addresses: `http(s)://server`, `sqlite:///file.db`, a path that ends in `.db`, `postgresql://...`.
    One connection an address; a process made by fork opens its own.

    Raises:
        InvalidParameterError: the address is none of these.
    """
    address = normalise(uri or addresses.get_tracking_uri())
    # Reading a dict needs no lock; the lock keeps two threads from opening one database twice.
    if (connection := _connections.get(address)) is not None:
        return connection
    with _lock:
        if (connection := _connections.get(address)) is None:
            connection = _open(address)
            _connections[address] = connection
        return connection


def open_for_removal(
    tracking_uri: str | None = None,
    backend_store_uri: str | None = None,
    artifacts_destination: str | None = None,
    artifact_roots: Sequence[str] = (),
) -> Connection:
    """Return a connection for removing things for ever, which needs to know where files may be deleted.

    Args:
        tracking_uri: a server, which knows that itself, or a database; the current address when not given.
        backend_store_uri: a database to work on instead. With a server as `tracking_uri`, files behind
            `mlflow-artifacts:/` are deleted through that.
        artifacts_destination: where they are otherwise; by default beside the SQLite file, if there is such a folder.
        artifact_roots: further folders and object stores.

    Raises:
        InvalidParameterError: a place is named, and the server works, which has places of its own.
    """
    address = normalise(backend_store_uri or tracking_uri or addresses.get_tracking_uri())
    if address.startswith(_HTTP):
        if artifacts_destination or artifact_roots:
            raise InvalidParameterError(
                f"The server {shown_uri(address)} deletes files in its own places only. Leave --artifacts-destination and "
                "--artifact-root out, or name its database with --backend-store-uri."
            )
        return connect(address)
    proxy = tracking_uri if backend_store_uri and (tracking_uri or "").startswith(_HTTP) else None
    if not artifacts_destination and not artifact_roots and not proxy:
        return connect(address)
    from slipstream.artifact_store.places import ArtifactPlaces, default_places, open_root
    from slipstream.artifact_store.uri import is_local, local_folder
    from slipstream.db.uri import artifact_folder
    from slipstream.store.engine import open_store

    root = artifacts_destination or str(artifact_folder(address))
    if is_local(root):
        root = str(local_folder(root).absolute())

    def places() -> ArtifactPlaces:
        roots = [open_root(each) for each in (root, *artifact_roots)]
        if proxy:
            return ArtifactPlaces(connect(proxy).artifacts("mlflow-artifacts:/"), roots)
        if artifacts_destination:
            return ArtifactPlaces(roots[0], roots)
        return ArtifactPlaces(default_places(root).destination, roots)

    places()  # what is wrong with them is said before anything is done
    connection = Connection(address, open_store(address, root, places=places), None)
    atexit.register(connection.close)
    return connection


def flush_all(seconds: float | None = None) -> bool:
    """Wait until what this process logged is stored everywhere, each place as long as is said; tell whether it is."""
    delivered = [
        connection.flush(seconds) for connection in list(_connections.values())
    ]  # each, whatever one says
    return all(delivered)


def close_all() -> None:
    """Close all connections; the next call opens them anew."""
    with _lock:
        connections = list(_connections.values())
        _connections.clear()
    for connection in connections:
        connection.close()


def normalise(uri: str) -> str:
    """Return an address in the one spelling that names it whatever the working directory is.

    SQLAlchemy's driver suffixes (`postgresql+psycopg2://`), which MLflow's users write, are dropped.
    """
    text = uri.strip()
    shown = shown_uri(text)
    if (match := _WITH_DRIVER.match(text)) is not None:
        text = match[1] + match[2]
    if text.startswith(_HTTP):
        return text.rstrip("/")
    if text.startswith(_POSTGRES):
        return text
    if text == OFFLINE or text.startswith(OFFLINE + ":"):
        return text
    if text.startswith(_SQLITE):
        return _sqlite(_file_of(text.removeprefix(_SQLITE), shown), shown)
    if "://" not in text and text.endswith(".db"):
        return _sqlite(text, shown)
    raise InvalidParameterError(
        f"Tracking URI '{shown}' is of no kind that can be opened. Use http://server, https://server, "
        "sqlite:///file.db, a path that ends in .db, postgresql://user@host/database, or offline. "
        "Folders of files (MLflow's ./mlruns) are not supported."
    )


def _file_of(path: str, uri: str) -> str:
    if "?" in path or "#" in path:
        raise InvalidParameterError(
            f"Tracking URI '{uri}' has options after the file's name, and none is known here. Leave them out; where ? or "
            "# belongs to the name, write %3F or %23."
        )
    return unquote(path)


def _sqlite(path: str, uri: str) -> str:
    if not path or path == ":memory:":
        raise InvalidParameterError(f"Tracking URI '{uri}' names no file. Use sqlite:///file.db.")
    # An absolute path begins with a slash of its own, so that the URI has four.
    try:
        file = str(Path(path).expanduser().absolute())
    except (OSError, RuntimeError) as error:
        raise InvalidParameterError(
            f"Tracking URI '{uri}' cannot be made absolute: {error}. Was the working folder deleted? Change to one that "
            "exists, or give an absolute path."
        ) from error
    return _SQLITE + file.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def shown_uri(uri: str) -> str:
    """Return an address as it may be printed: without user name and password."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else uri


def _open(address: str) -> Connection:
    if address.startswith(_HTTP):
        _check_server(address)
        from slipstream.client.rest import RestStore
        from slipstream.client.transport import Transport

        transport = Transport(address)
        if not settings.SPOOL.get():
            return Connection(address, RestStore(transport), transport)
        from slipstream.client.spool.store import SpooledStore

        def open_transport(retries: int, seconds: float) -> Transport:
            return Transport(address, retries=retries, timeout_seconds=seconds)

        return Connection(address, SpooledStore(transport, shown_uri(address), open_transport), transport)
    if address.startswith(OFFLINE):
        from slipstream.client.spool.offline import OfflineStore

        return Connection(address, OfflineStore(address), None)
    from slipstream.db.uri import artifact_folder
    from slipstream.store.engine import open_store

    return Connection(address, open_store(address, str(artifact_folder(address))), None)


def _check_server(address: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # the port is read only to have it checked
    except ValueError as error:
        raise InvalidParameterError(
            f"Tracking URI '{shown_uri(address)}' is not a valid address: {error}. Write http://host:port."
        ) from error
    if not host:
        raise InvalidParameterError(f"Tracking URI '{shown_uri(address)}' names no host.")


_paused: list[Connection] = []
_held: list[threading.Lock] = []
_LOCK_SECONDS = 20.0


def _pause_before_fork() -> None:
    # A handle that is open now would harm both processes: SQLite in the new one would believe that it holds the
    # locks of this one, wait for ever for a write that ran here, and lose its log when this one closes the file.
    if _lock.acquire(timeout=_LOCK_SECONDS):  # so that nobody opens one; a signal handler may hold it already
        _held.append(_lock)
    _paused.extend(_connections.values())
    for connection in _paused:
        connection.pause()


def _resume_after_fork() -> None:
    while _paused:
        _paused.pop().resume()
    while _held:
        _held.pop().release()


def _forget_after_fork() -> None:
    # The parent's threads do not exist here, and its database handles must neither be used nor closed
    # in this process: keep them from the garbage collector, and start with none.
    global _lock
    _lock = threading.Lock()
    _paused.clear()
    _held.clear()
    for connection in _connections.values():
        if (abandon := getattr(connection.store, "abandon", None)) is not None:
            abandon()
    _abandoned.extend(_connections.values())
    _connections.clear()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_pause_before_fork, after_in_parent=_resume_after_fork, after_in_child=_forget_after_fork
    )
