"""What slipstream asks of a database: run this SQL, in a transaction.

SQL is written once for all databases, with `:name` for parameters. Three spellings are rewritten
by each database's file, since they differ:

* `x IN :names__in` and `x NOT IN :names__in` — membership in a list parameter (its name ends in `__in`;
  the list must not be empty);
* `LIKE` is case-sensitive everywhere;
* the schema words named at the top of `schema.sql`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, LiteralString, Protocol, TypeAlias

Row: TypeAlias = tuple[Any, ...]


class Transaction(Protocol):
    """SQL inside one open transaction. Rows are tuples in the order of the columns selected.

    Not thread-safe: it belongs to the thread that opened it, and ends with its `with` block.
    """

    dialect: LiteralString
    """`"sqlite"` or `"postgres"`; for the few places where the meaning, not the spelling, differs."""

    @property
    def writes(self) -> int:
        """A number that grows with each statement that changes something."""
        ...

    def fetch_one(self, sql: LiteralString, **params: object) -> Row | None:
        """Return the first row, or `None`."""
        ...

    def fetch_all(self, sql: LiteralString, **params: object) -> list[Row]: ...

    def execute(self, sql: LiteralString, **params: object) -> None:
        """Run a statement. What it raises may come with a later one, but not after the end of a savepoint."""
        ...

    def count_changed(self, sql: LiteralString, **params: object) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def execute_many(self, sql: LiteralString, rows: Sequence[Row]) -> None:
        """Run a statement once a row, as `execute`; a row's values go to the `:names` in order of first appearance."""
        ...

    def script(self, sql: str) -> None:
        """Run several statements that have the schema's words; for migrations."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo only what the block wrote when it raises; the exception goes on."""
        ...


class Connection(Protocol):
    """One session with the database, used by one thread at a time."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that may write; commit at the end of the block, roll back if it raises.

        When the block has ended without an error, what it wrote survives a power cut
        (unless the database was opened with `durability="normal"`).
        """
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that sees one snapshot and must not write."""
        ...

    def is_transient(self, error: BaseException) -> bool:
        """Tell whether the same transaction may succeed when tried again (deadlock, lost connection)."""
        ...

    def is_unavailable(self, error: BaseException) -> bool:
        """Tell whether the database could not work: no space, no connection, locked by somebody else."""
        ...

    def is_duplicate(self, error: BaseException) -> bool:
        """Tell whether a unique key was violated."""
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """A place to connect to. Thread-safe."""

    dialect: LiteralString
    writers: int
    """How many connections may write at the same time with profit."""
    fork_safe: bool
    """Whether a process made by fork may connect anew while connections of the process that forked stay open."""

    def connect(self) -> Connection: ...

    def is_unavailable(self, error: BaseException) -> bool:
        """As `Connection.is_unavailable`, where there is no connection yet."""
        ...

    def describe(self) -> str:
        """Say where the data is, without secrets."""
        ...

    # -- for those who run it -----------------------------------------------------------------------
    def require_present(self) -> None:
        """Refuse a place where there is no database yet; nothing is created.

        Raises:
            InvalidParameterError: there is none.
        """
        ...

    def count_bytes(self) -> int:
        """Return how much disk the data takes."""
        ...

    def copy_to(self, target: Path) -> None:
        """Write a copy of the whole database, of one moment, while others go on writing.

        Raises:
            InvalidParameterError: `target` exists; or another program has to do it, which the message names.
            StorageError: there is no room for it.
        """
        ...

    def keep_copy(self, schema_number: int) -> Path | None:
        """Keep a copy beside the data before its schema is changed, and return where; None where that is others' task.

        Raises:
            StorageError: there is no room for it.
        """
        ...

    def find_damage(self) -> list[str]:
        """Return what the database itself finds wrong with its files; slow on large ones."""
        ...
