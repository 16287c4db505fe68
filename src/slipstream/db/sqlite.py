"""SQLite, through apsw: one file, WAL, any number of readers beside one writer."""

import functools
import itertools
import json
import os
import random
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import apsw as apsw_module

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.db.copies import check_room, copy_name
from slipstream.errors import InvalidParameterError, StorageError
from slipstream.rules.letters import lower

# apsw's own annotations name types that need numpy.
apsw: Any = apsw_module

_UNAVAILABLE = (
    apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError
)  # fmt: skip
_MEMBERSHIP = re.compile(r"\bIN :(\w+__in)\b")
_BUSY_SECONDS = 20.0
_chance = random.SystemRandom()  # the one of the module is the user's, who may have seeded it
_PAGES = 4096
"""Pages of one step of a copy; between steps Ctrl-C is heard."""
_SCHEMA_WORDS = (
    (re.compile(r"\bBYTES\b"), "BLOB"),
    (re.compile(r"\bIDENTITY\b"), "INTEGER PRIMARY KEY"),
    (re.compile(r"\bBIGINT\b"), "INTEGER"),
    (re.compile(r"\bSMALLINT\b"), "INTEGER"),
)


class SqliteDatabase:
    """A database file, created when missing.

    Args:
        path: the file; its folder must exist.
        durability: `"full"` makes a commit survive a power cut; `"normal"` only a crash of the process,
            for several times the writes.
    """

    dialect: LiteralString = "sqlite"
    writers = 1  # SQLite allows one; a second would only wait for its lock.
    fork_safe = False  # SQLite's memory of the locks that this process holds is copied, the locks are not.

    def __init__(self, path: str | Path, durability: str = "full") -> None:
        if durability not in ("full", "normal"):
            raise InvalidParameterError(f"durability must be 'full' or 'normal', not '{durability}'")
        self.path = Path(path).absolute()
        self.durability = durability
        if not self.path.parent.is_dir():
            raise InvalidParameterError(
                f"Cannot open the database {self.path}: the folder {self.path.parent} does not exist. Create it first."
            )

    def connect(self) -> "SqliteConnection":
        try:
            connection = apsw.Connection(str(self.path), statementcachesize=512)
            connection.set_busy_handler(_busy_handler())
            if connection.readonly("main"):
                connection.close()
                raise _read_only(self.path)
            _use_wal(connection)
            for pragma in (
                f"synchronous = {self.durability}",
                "foreign_keys = ON",
                "case_sensitive_like = ON",
                "temp_store = MEMORY",
                "cache_size = -8000",
            ):
                connection.execute(f"PRAGMA {pragma}").close()
        except apsw.NotADBError as error:
            raise InvalidParameterError(f"{self.path} is not an SQLite database") from error
        except apsw.CantOpenError as error:
            raise InvalidParameterError(
                f"Cannot open the database {self.path}: {error}. Is it a folder, or may this user not read and write it "
                "and its folder?"
            ) from error
        except apsw.ReadOnlyError as error:
            raise _read_only(self.path) from error
        # SQLite's own LOWER knows ASCII only, and ILIKE has to find the same as on PostgreSQL.
        connection.create_scalar_function("lower", _lower, 1, deterministic=True)
        return SqliteConnection(connection)

    def is_unavailable(self, error: BaseException) -> bool:
        return isinstance(error, _UNAVAILABLE)

    def describe(self) -> str:
        return str(self.path)

    def require_present(self) -> None:
        if not self.path.exists():
            raise InvalidParameterError(
                f"There is no database {self.path}. Name the one that the server uses, as its --backend-store-uri does."
            )

    def count_bytes(self) -> int:
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def copy_to(self, target: Path) -> None:
        target = target.absolute()
        if target.exists():
            raise InvalidParameterError(f"{target} exists. Name a file that does not, or move it away.")
        check_room(target.parent, self.count_bytes())
        # Under another name until it is whole: who finds a copy may rely on it.
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        try:
            self._copy(partial)
            partial.rename(target)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, apsw.FullError | apsw.IOError | apsw.CantOpenError):
                raise StorageError(
                    f"{target} cannot be written: {error}. Name a place with more room."
                ) from error
            raise
        _sync_folder(target.parent)

    def _copy(self, target: Path) -> None:
        source = self.connect()
        copy = apsw.Connection(str(target))
        try:
            # One snapshot for all steps: without it each write of others would begin the copy anew.
            with source.read() as tx, copy.backup("main", source.apsw, "main") as copying:
                tx.fetch_one("SELECT count(*) FROM sqlite_master")
                while not copying.done:
                    copying.step(_PAGES)
            found = _damage_of(copy)
            if found:
                raise StorageError(
                    f"The copy of {self.path} is damaged: {found[0]}. Look at the database with: slipstream db check"
                )
        finally:
            copy.close()
            source.close()

    def keep_copy(self, schema_number: int) -> Path | None:
        target = self.path.with_name(copy_name(self.path.name, schema_number, now_ms()))
        self.copy_to(target)
        return target

    def find_damage(self) -> list[str]:
        connection = self.connect()
        try:
            found = _damage_of(connection.apsw, "integrity_check")
            if found:  # what it would say of the rows may be wrong, too
                return found
            with connection.read() as tx:
                orphans = tx.fetch_all(
                    'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
                )
            return [
                f"{count} rows of {table} belong to rows of {parent} that are not there"
                for table, parent, count in orphans
            ]
        finally:
            connection.close()


class SqliteConnection:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._transaction = SqliteTransaction(connection)

    @property
    def apsw(self) -> Any:
        """The driver's connection, for this file."""
        return self._connection

    @contextmanager
    def write(self) -> Generator[Transaction]:
        # IMMEDIATE takes the write lock at once: a transaction never fails half-way for want of it.
        self._connection.execute("BEGIN IMMEDIATE").close()
        yield from self._finish("COMMIT")

    @contextmanager
    def read(self) -> Generator[Transaction]:
        self._connection.execute("BEGIN").close()
        yield from self._finish("ROLLBACK")

    def _finish(self, closing: str) -> Generator[Transaction]:
        try:
            yield self._transaction
            self._connection.execute(closing).close()
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK").close()
            raise

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, apsw.BusyError | apsw.LockedError)

    def is_unavailable(self, error: BaseException) -> bool:
        return isinstance(error, _UNAVAILABLE)

    def is_duplicate(self, error: BaseException) -> bool:
        return isinstance(error, apsw.ConstraintError) and "UNIQUE" in str(error)

    def close(self) -> None:
        self._connection.close()


class SqliteTransaction:
    dialect: LiteralString = "sqlite"

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._run = connection.execute

    @property
    def writes(self) -> int:
        return self._connection.total_changes()

    def fetch_one(self, sql: LiteralString, **params: object) -> Row | None:
        cursor = self._run(*_prepare(sql, params))
        row = cursor.fetchone()
        cursor.close(True)  # an unfinished statement would keep the transaction open
        return row

    def fetch_all(self, sql: LiteralString, **params: object) -> list[Row]:
        return self._run(*_prepare(sql, params)).fetchall()

    def execute(self, sql: LiteralString, **params: object) -> None:
        self._run(*_prepare(sql, params)).close()

    def count_changed(self, sql: LiteralString, **params: object) -> int:
        self._run(*_prepare(sql, params)).close()
        return self._connection.changes()

    def stream(self, sql: LiteralString, chunk: int, **params: object) -> Iterator[Sequence[Row]]:
        """Yield the rows of a query in pieces of at most `chunk`; only one is in memory."""
        cursor: Any = self._run(*_prepare(sql, params))
        rows: Iterator[Row] = iter(cursor)
        try:
            while piece := list(itertools.islice(rows, chunk)):
                yield piece
        finally:
            cursor.close(True)

    def execute_many(self, sql: LiteralString, rows: Sequence[Row]) -> None:
        # SQLite numbers named parameters by first appearance, so a tuple binds as the contract says.
        self._connection.executemany(sql, rows).close()

    def script(self, sql: str) -> None:
        for word, spelling in _SCHEMA_WORDS:
            sql = word.sub(spelling, sql)
        self._connection.execute(sql).close()

    @contextmanager
    def savepoint(self) -> Generator[None]:
        self._run("SAVEPOINT one").close()
        try:
            yield
        except BaseException:
            # After a full disk or the like SQLite has already undone the whole transaction.
            if self._connection.in_transaction:
                self._run("ROLLBACK TO one").close()
                self._run("RELEASE one").close()
            raise
        self._run("RELEASE one").close()


def _use_wal(connection: Any) -> None:
    """Change to WAL; somebody else's file is refused later, and stays as it is."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            if _is_ours_or_empty(connection):
                connection.execute("PRAGMA journal_mode = WAL").close()
        except apsw.BusyError:
            # Of several who do that to a new file at once, SQLite refuses all but one without asking whether to wait.
            if time.monotonic() > until:
                raise
            time.sleep(_chance.uniform(0.001, 0.01))
        else:
            return


def _busy_handler() -> Callable[[int], bool]:
    """Make what SQLite calls while another process holds a lock; it gives up after `_BUSY_SECONDS`.

    SQLite's own sleeps for 100 ms a time: beside a process that writes without pause, whose lock is free for
    some hundred microseconds, it may wait for seconds, and Ctrl-C waits with it.
    """
    until = 0.0

    def wait(tries: int) -> bool:
        nonlocal until
        now = time.monotonic()
        if tries == 0:
            until = now + _BUSY_SECONDS
        time.sleep(_chance.uniform(0.0005, 0.005))  # two that wait should not wait in step
        return now < until

    return wait


def _damage_of(connection: Any, check: str = "quick_check") -> list[str]:
    try:
        rows = connection.execute(f"PRAGMA {check}(20)").fetchall()
    except apsw.CorruptError as error:
        return [str(error)]
    return [row[0] for row in rows if row[0] != "ok"]


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_only(path: Path) -> InvalidParameterError:
    return InvalidParameterError(
        f"Cannot write to the database {path}: it is read-only for this user. Change the rights of the file and its "
        "folder, or name another file."
    )


def _is_ours_or_empty(connection: Any) -> bool:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master").fetchall()}
    return not tables or "schema_migrations" in tables


def _prepare(sql: LiteralString, params: Mapping[str, object]) -> tuple[str, Any]:
    if "__in" not in sql:
        return sql, params
    text, lists = _rewrite_membership(sql)
    bound = dict(params)
    for name in lists:
        bound[name] = json.dumps(bound[name])
    return text, bound


@functools.lru_cache(maxsize=1024)
def _rewrite_membership(sql: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(_MEMBERSHIP.findall(sql)))
    return _MEMBERSHIP.sub(r"IN (SELECT value FROM json_each(:\1))", sql), names


def _lower(text: object) -> object:
    return lower(text) if isinstance(text, str) else text
