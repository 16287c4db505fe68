"""From many callers to few transactions: group commit, reader connections, and a `Store` on top.

A write is a function of a `SqlStore`. Whoever gets hold of a writer connection takes everything that
waits, runs it in one transaction, commits once, and only then tells each caller its result: nothing
is answered before it is on disk, and a hundred concurrent writes cost one flush.

A blocking caller (`Engine.write`) takes the connection itself when it is free, so the embedded SDK has no
thread and no hop. The server hands its work over (`Engine.submit`) and is called back; then a
writer thread leads.

It is one file since writers, readers and what pauses both for a fork share the same connections.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from slipstream.db.base import Connection, Database
from slipstream.db.migrate import prepare
from slipstream.entities import FileInfo
from slipstream.errors import SlipstreamError, UnavailableError
from slipstream.store import run_changes
from slipstream.store.base import Store
from slipstream.store.config import StoreConfig
from slipstream.store.pulse import Pulse
from slipstream.store.queued_histories import QueuedHistories
from slipstream.store.queued_trash import QueuedTrash
from slipstream.store.queued_webhooks import QueuedWebhooks
from slipstream.store.sql import SqlStore

if TYPE_CHECKING:
    from slipstream.artifact_store.places import ArtifactPlaces

T = TypeVar("T")

Bulk = Callable[[SqlStore, Sequence[Any]], Sequence[Any]]
"""Does many requests of one kind at once; returns for each its result, or the exception that refuses it."""

_logger = logging.getLogger(__name__)
_chance = random.SystemRandom()  # the one of the module is the user's, who may have seeded it

_GROUP = 2_000
_COMPACT_EVERY = 8
"""Groups after which blocks are merged even if more writes wait."""
_QUEUE_BYTES = 256 * 2**20
"""Of requests that wait to be written, as they came; what is decoded takes several times that."""
_ATTEMPTS = 3
_MOST_READERS = 16
"""Reads at one time; more wait. A PostgreSQL server allows a hundred connections in all unless told otherwise."""
_CONNECTION_SECONDS = 10.0
"""How long a read waits for the connection of another where the database gives no more."""
_LOOK_SECONDS = 0.05
_PAUSE_SECONDS = 20.0
"""How long a fork waits for writes and reads of other threads."""


class Work(Generic[T]):
    """One write on its way through the queue."""

    __slots__ = ("bulk", "done", "error", "finished", "request", "result", "run", "size", "waiter")

    def __init__(
        self,
        run: Callable[[SqlStore], T] | None,
        done: "Callable[[Work[T]], None] | None" = None,
        bulk: Bulk | None = None,
        request: object = None,
        size: int = 0,
    ) -> None:
        self.run = run
        self.bulk = bulk
        self.request = request
        self.size = size
        """Bytes of the request, as it came."""
        self.done = done
        self.result: T | None = None
        self.error: BaseException | None = None
        self.finished = False
        self.waiter: threading.Event | None = None


class _UndoneError(Exception):
    """A group was rolled back, to be done again with each work apart; never leaves the engine."""


_TIDY: Work[Any] = Work(None)
"""What a writer thread does when nothing waits."""


class Engine:
    """A database open for tracking. Thread-safe; not to be carried over a fork.

    Args:
        database: where to write; its schema is created or upgraded here.
        config: what the store has to know.
        queue_limit: how many writes may wait before new ones are refused with `UnavailableError`.
        queue_bytes: how many bytes of them.
        notify: called with all finished `Work` that has a `done`, once a group, on the thread that
            committed; the default calls each `done` there and then.
    """

    def __init__(
        self,
        database: Database,
        config: StoreConfig,
        *,
        queue_limit: int = 20_000,
        queue_bytes: int = _QUEUE_BYTES,
        notify: Callable[[list[Work[Any]]], None] | None = None,
    ) -> None:
        self.database = database
        self.config = config
        self.notify = notify or _call_each
        self.pulse = Pulse()
        self._queue_limit = queue_limit
        self._queue_bytes = queue_bytes
        # Two numbers that each grow in one place, so that neither needs a lock.
        self._bytes_in = 0
        self._bytes_out = 0
        self._leader: int | None = None
        """The thread that leads a group of blocking callers now."""
        self._closed = False
        self._to_compact: dict[int, bool] = {}
        """Runs whose blocks of metrics should be merged soon, with whether they have ended."""
        self._not_to_compact: set[int] = set()
        """Runs where that failed for another reason than the moment's: it is said once."""
        self._groups = 0
        self._noted = _chance.randrange(run_changes.MERGE_EVERY)
        """Transactions that wrote to the journal. Not from 0: programs that write little would never merge it."""
        self._waiting: queue.SimpleQueue[Work[Any] | None] = queue.SimpleQueue()
        self._writers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        first = _open_first(database)
        self.migrated = first.migrated
        self._writers.put(first.connection)
        self._open_writers = 1
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._reading = threading.BoundedSemaphore(_MOST_READERS)
        self._paused: Connection | None = None
        self._may_begin = threading.Event()
        """Cleared while somebody pauses: threads that write or read without rest would not let it get its turn."""
        self._may_begin.set()
        self._held_reads = 0
        self._open_readers = 0
        self._counting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.write(SqlStore.create_default_experiment)

    # -- writing ------------------------------------------------------------------------------------
    def write(self, run: Callable[[SqlStore], T]) -> T:
        """Run one write and return its result once it is durable.

        Raises:
            UnavailableError: the database cannot store it now; or it was asked for inside another write of the
                same thread, which only a signal handler can do.
        """
        if self._closed:
            raise _closed()
        if self._leader == threading.get_ident():
            # The write that was interrupted holds the connection, and goes on only when the handler returns.
            raise UnavailableError(
                "A signal handler cannot write while it interrupts another write of its own thread. Let the handler "
                "set a flag, or raise SystemExit: the run is ended then as the program ends."
            )
        work = Work(run)
        if self._threads:
            work.waiter = threading.Event()
            self._waiting.put(work)
            work.waiter.wait()
        else:
            self._waiting.put(work)
            # Whoever holds the one connection has emptied the queue before giving it back, so with the
            # connection in hand this work is either done or still waiting.
            while not work.finished:
                self._may_begin.wait()
                connection = self._writers.get()
                self._leader = threading.get_ident()
                try:
                    if not work.finished:
                        connection = self._lead(connection, [])
                finally:
                    self._leader = None
                    self._writers.put(connection)
        if work.error is not None:
            raise work.error
        return cast("T", work.result)

    def submit(self, work: Work[Any]) -> None:
        """Queue one write; its `done` is told when it is durable. Needs `start`; for one thread.

        Raises:
            UnavailableError: too many writes wait; try again later.
        """
        if self._closed:
            raise _closed()
        waiting = self._waiting.qsize()
        if waiting >= self._queue_limit or self._bytes_in - self._bytes_out > self._queue_bytes:
            raise UnavailableError(
                f"The server has {waiting} writes waiting for the database. Try again in a few seconds."
            )
        self._bytes_in += work.size
        self._waiting.put(work)

    @property
    def queued(self) -> int:
        """How many writes wait."""
        return self._waiting.qsize()

    @property
    def queued_bytes(self) -> int:
        """How many bytes their requests have, and those that are being written."""
        return self._bytes_in - self._bytes_out

    def start(self) -> None:
        """Start the writer threads that serve `submit`."""
        while self._open_writers < self.database.writers:
            self._writers.put(self.database.connect())
            self._open_writers += 1
        for number in range(self.database.writers):
            thread = threading.Thread(target=self._serve, name=f"slipstream-writer-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while True:
            try:
                first = self._waiting.get(block=not self._to_compact)
            except queue.Empty:  # nobody waits: the time to tidy up
                first = _TIDY
            if first is None:
                return
            connection = self._writers.get()
            try:
                connection = self._lead(connection, [] if first is _TIDY else [first])
            finally:
                self._writers.put(connection)

    def _lead(self, connection: Connection, group: list[Work[Any]]) -> Connection:
        """Commit one group: `group` and what waits; return the connection to go on with."""
        try:
            while len(group) < _GROUP:
                work = self._waiting.get_nowait()
                if work is None:  # the sign to stop is for a writer thread
                    self._waiting.put(None)
                    break
                group.append(work)
        except queue.Empty:
            pass
        if not group:
            return self._compact(connection)
        began = time.perf_counter()
        failure: UnavailableError | None = None
        try:
            connection = self._commit(connection, group)
        except BaseException as error:  # a lost connection, a full disk, a bug: every caller is told
            for work in group:
                work.error, work.result = _explain(connection, error), None
            failure = group[0].error if isinstance(group[0].error, UnavailableError) else None
            connection = self._replace(connection)
            if not isinstance(error, Exception):
                raise
        finally:
            self.pulse.wrote(len(group), time.perf_counter() - began, failure)
            self._bytes_out += sum([work.size for work in group])
            told: list[Work[Any]] = []
            for work in group:
                work.finished = True
                if work.waiter is not None:
                    work.waiter.set()
                if work.done is not None:
                    told.append(work)
            if told:
                self.notify(told)
        self._groups += 1
        if self._to_compact and (self._groups % _COMPACT_EVERY == 0 or self._waiting.empty()):
            connection = self._compact(connection)
        return connection

    def _compact(self, connection: Connection) -> Connection:
        """Merge blocks of one run's metrics, after the writers were told: it may fail without harm to them."""
        try:
            run, ended = self._to_compact.popitem()
        except KeyError:  # another writer was faster
            return connection
        try:
            with connection.write() as tx:
                more = SqlStore(tx, self.config).compact_run(run, ended=ended)
        except Exception as error:  # the points are stored, as they were
            if not connection.is_transient(error) and not connection.is_unavailable(error):
                _logger.warning("Points of run number %d could not be merged", run, exc_info=error)
                self._not_to_compact.add(run)
            return self._replace(connection)
        if more:
            self._to_compact[run] = ended or self._to_compact.get(run, False)
        return connection

    def compact_all(self) -> None:
        """Merge all blocks of metrics that wait for it, for who can wait: a shutdown, a measurement."""
        connection = self._writers.get()
        try:
            while self._to_compact:
                connection = self._compact(connection)
        finally:
            self._writers.put(connection)

    def _plan_merges(self, store: SqlStore) -> None:
        """Remember which runs have blocks to merge, once they are committed."""
        for run, ended in store.runs_to_compact.items():
            if run not in self._not_to_compact:
                self._to_compact[run] = ended or self._to_compact.get(run, False)

    def _commit(self, connection: Connection, group: list[Work[Any]]) -> Connection:
        """Commit the group, again if that may help; return the connection to go on with."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if len(group) == 1 and group[0].run is not None:
                    self._commit_one(connection, group[0])
                else:
                    self._commit_many(connection, group)
            except Exception as error:
                if attempt == _ATTEMPTS or not connection.is_transient(error):
                    raise
                connection = self._replace(connection)  # what failed may be the connection itself
            else:
                break
        return connection

    def _commit_one(self, connection: Connection, work: Work[Any]) -> None:
        assert work.run is not None
        try:
            with connection.write() as tx:
                store = SqlStore(tx, self.config)
                work.result = work.run(store)
                self._note_changes(store)
        except SlipstreamError as error:  # the transaction was rolled back; only this caller is concerned
            work.error = error
        else:
            self._plan_merges(store)

    def _commit_many(self, connection: Connection, group: list[Work[Any]]) -> None:
        # Nearly always nothing fails after it wrote. So no work is kept apart from the others, which costs several
        # statements each, unless it turns out that one has to be undone.
        try:
            self._commit_group(connection, group, apart=False)
        except _UndoneError:
            self._commit_group(connection, group, apart=True)

    def _commit_group(self, connection: Connection, group: list[Work[Any]], *, apart: bool) -> None:
        """Commit a group in one transaction.

        Args:
            connection: where.
            group: what to do.
            apart: whether a work that fails is undone alone.

        Raises:
            _UndoneError: something has to be undone alone, and all was undone.
        """
        try:
            with connection.write() as tx:
                store = SqlStore(tx, self.config)
                bulks: dict[Bulk, list[Work[Any]]] = {}
                for work in group:
                    work.error = work.result = None
                    if work.bulk is not None:
                        bulks.setdefault(work.bulk, []).append(work)
                    else:
                        self._run_one(connection, store, work, apart=apart)
                for bulk, works in bulks.items():
                    if apart:
                        _run_bulk_apart(connection, store, bulk, works)
                    else:
                        _run_bulk(store, bulk, works)
                self._note_changes(store)
        except _UndoneError:
            raise
        except Exception as error:
            if apart or connection.is_transient(error) or connection.is_unavailable(error):
                raise
            raise _UndoneError from error  # a statement that failed later than it was asked for
        self._plan_merges(store)

    def _run_one(self, connection: Connection, store: SqlStore, work: Work[Any], *, apart: bool) -> None:
        assert work.run is not None
        before = store.tx.writes
        try:
            if apart:
                with store.tx.savepoint():
                    work.result = work.run(store)
            else:
                work.result = work.run(store)
        except Exception as error:
            if connection.is_transient(error) or connection.is_unavailable(error):
                raise  # it concerns the whole group
            if not apart and (store.tx.writes != before or not isinstance(error, SlipstreamError)):
                raise _UndoneError from error
            work.error = error

    def _note_changes(self, store: SqlStore) -> None:
        if store.note_changes():
            self._noted += 1
            if self._noted % run_changes.MERGE_EVERY == 0:
                run_changes.merge_changes(store.tx)

    def _replace(self, connection: Connection) -> Connection:
        """Return a connection that works: this one after a rollback, or a new one."""
        try:
            with connection.read() as tx:
                tx.fetch_one("SELECT 1")
            return connection
        except Exception:  # noqa: BLE001  # any failure means that it does not work
            try:
                fresh = self.database.connect()
            except Exception:  # noqa: BLE001
                return connection  # the next group tries again, and its callers are told
            connection.close()
            return fresh

    # -- reading ------------------------------------------------------------------------------------
    def read(self, run: Callable[[SqlStore], T]) -> T:
        """Run one read on a snapshot that holds every write answered so far.

        Raises:
            UnavailableError: the database cannot be read now.
        """
        self._may_begin.wait()
        self.pulse.reads()
        began = time.perf_counter()
        failure: UnavailableError | None = None
        try:
            with self._reading:
                return self._read(run)
        except UnavailableError as error:
            failure = error
            raise
        finally:
            self.pulse.read(time.perf_counter() - began, failure)

    def _read(self, run: Callable[[SqlStore], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            if self._closed:
                raise _closed()
            connection = self._take_reader()
            try:
                with connection.read() as tx:
                    result = run(SqlStore(tx, self.config))
            except SlipstreamError:
                self._readers.put(connection)
                raise
            except Exception as error:
                self._drop_reader(connection)  # it may be broken
                if attempt < _ATTEMPTS and connection.is_transient(error):
                    self._drop_readers()  # what ended this one, such as a restart, ended these too
                    continue
                explained = _explain(connection, error)
                if explained is error:
                    raise
                raise explained from error
            except BaseException:  # an interrupt
                self._drop_reader(connection)
                raise
            self._readers.put(connection)
            return result
        raise AssertionError("the last attempt returns or raises")

    def _take_reader(self) -> Connection:
        """Return a connection that nobody reads on: one that is there, a new one, or the next that somebody gives back.

        Raises:
            UnavailableError: the database gives none, and all of ours stay in use.
        """
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            pass
        with self._counting:
            self._open_readers += 1  # before it is there, so that who finds no connection waits for this one
        try:
            return self.database.connect()
        except BaseException as error:
            with self._counting:
                self._open_readers -= 1
            if not isinstance(error, UnavailableError):
                raise
            refused = error
        # The database may have as many connections as it takes, by other servers; then ours have to do.
        until = time.monotonic() + _CONNECTION_SECONDS
        while self._open_readers and time.monotonic() < until:
            try:
                return self._readers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:  # whoever had one may have lost it
                continue
        raise refused

    def _drop_reader(self, connection: Connection) -> None:
        with self._counting:
            self._open_readers -= 1
        connection.close()

    def _drop_readers(self) -> None:
        while True:
            try:
                self._drop_reader(self._readers.get_nowait())
            except queue.Empty:
                return

    def pause(self) -> None:
        """Close all connections and hold what is asked for until `resume`: for the moment of a fork.

        For the blocking callers of an engine that was not started. Does nothing where open connections do not
        harm the new process, and inside a write of the same thread, where only a signal handler can fork.
        """
        if self.database.fork_safe or self._threads or self._leader == threading.get_ident():
            return
        until = time.monotonic() + _PAUSE_SECONDS
        self._may_begin.clear()
        try:
            self._paused = self._writers.get(timeout=_PAUSE_SECONDS)
        except queue.Empty:
            _logger.warning(
                "A write takes longer than a fork can wait; the new process may find the database busy."
            )
            return
        while self._held_reads < _MOST_READERS:
            if not self._reading.acquire(timeout=max(0.0, until - time.monotonic())):
                _logger.warning(
                    "A read takes longer than a fork can wait; the new process may lose its database."
                )
                break
            self._held_reads += 1
        self._paused.close()
        self._drop_readers()

    def resume(self) -> None:
        """Go on after `pause`, in the process that paused."""
        paused, self._paused = self._paused, None
        while self._held_reads:
            self._held_reads -= 1
            self._reading.release()
        if paused is not None:
            self._writers.put(paused if self._closed else self._replace(paused))
        self._may_begin.set()

    def close(self) -> None:
        """Finish what waits and close all connections; what is asked for later is refused."""
        self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        _close_all(self._writers)
        self._drop_readers()


class QueuedStore(QueuedWebhooks, QueuedHistories, QueuedTrash):
    """Implements `Store` through an engine: every method is one write or one read of its own.

    Methods named get, find or search read; all others write.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(SqlStore, name, None)
        if name.startswith("_") or method is None:
            raise AttributeError(f"a Store has no method '{name}'")
        through = self.engine.read if name.startswith(("get_", "find_", "search_")) else self.engine.write

        def call(*args: Any, **kwargs: Any) -> Any:
            return through(lambda store: method(store, *args, **kwargs))

        call.__name__ = name
        self.__dict__[name] = call  # the next use does not come here
        return call

    def list_files(self, root_uri: str, path: str | None) -> list[FileInfo]:
        """List files in no transaction: they may be in an object store, which may be slow to answer."""
        return self.engine.config.files_below(root_uri, path)

    def pause(self) -> None:
        self.engine.pause()

    def resume(self) -> None:
        self.engine.resume()

    def close(self) -> None:
        self.engine.close()


def open_engine(
    uri: str,
    artifact_root: str,
    durability: str = "full",
    places: "Callable[[], ArtifactPlaces] | None" = None,
) -> Engine:
    """Open the database that `uri` names, creating or upgrading its tables.

    Args:
        uri: the database.
        artifact_root: where experiments keep artifacts.
        durability: see the database.
        places: where files may be deleted; by default below the artifact root.
    """
    from slipstream.db.uri import open_database

    def default() -> "ArtifactPlaces":
        from slipstream.artifact_store.places import default_places

        return default_places(artifact_root)

    config = StoreConfig(artifact_root=artifact_root, places=places or default)
    return Engine(open_database(uri, durability), config)


def open_store(
    uri: str,
    artifact_root: str,
    durability: str = "full",
    places: "Callable[[], ArtifactPlaces] | None" = None,
) -> Store:
    """Open a store in this process; has `close()` besides the protocol's methods."""
    return cast("Store", QueuedStore(open_engine(uri, artifact_root, durability, places)))


def _run_bulk(store: SqlStore, bulk: Bulk, works: Sequence[Work[Any]]) -> None:
    for work, outcome in zip(works, bulk(store, [work.request for work in works]), strict=True):
        if isinstance(outcome, BaseException):
            work.error = outcome
        else:
            work.result = outcome


def _run_bulk_apart(connection: Connection, store: SqlStore, bulk: Bulk, works: Sequence[Work[Any]]) -> None:
    """Do a bulk's requests together; if that fails for a reason that one of them may be, one by one."""
    try:
        with store.tx.savepoint():
            _run_bulk(store, bulk, works)
    except Exception as error:
        if connection.is_transient(error) or connection.is_unavailable(error):
            raise  # it concerns the whole group
        if len(works) == 1:
            works[0].error = error
            return
        for work in works:
            work.error = work.result = None
            _run_bulk_apart(connection, store, bulk, [work])


def _call_each(finished: list[Work[Any]]) -> None:
    for work in finished:
        if work.done is None:
            continue
        try:
            work.done(work)
        except Exception:  # the others wait for theirs
            _logger.exception("A caller could not be told the outcome of its write")


class _First(NamedTuple):
    connection: Connection
    migrated: Any


def _open_first(database: Database) -> _First:
    """Create or upgrade the tables and open a connection.

    Raises:
        UnavailableError: another process holds the database, or it cannot be reached.
    """
    try:
        return _First(migrated=prepare(database), connection=database.connect())
    except SlipstreamError:
        raise
    except Exception as error:
        if not database.is_unavailable(error):
            raise
        raise UnavailableError(
            f"Cannot open {database.describe()}: {error}. Another program may hold it; try again."
        ) from error


def _closed() -> UnavailableError:
    return UnavailableError("The store is closed; open it again.")


def _close_all(pool: "queue.SimpleQueue[Connection]") -> None:
    while True:
        try:
            pool.get_nowait().close()
        except queue.Empty:
            return


def _explain(connection: Connection, error: BaseException) -> BaseException:
    """Return what a caller is told: that the database is not available now, or the error itself, if it is a bug."""
    if (
        isinstance(error, Exception)
        and not isinstance(error, OSError)
        and not connection.is_unavailable(error)
    ):
        return error
    why = str(error) or type(error).__name__
    failure = UnavailableError(f"The database could not do this now ({why}). Try again in a moment.")
    failure.__cause__ = error
    return failure
