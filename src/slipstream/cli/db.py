"""`slipstream db ...`: the database behind a server, for those who run it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipstream.cli import out
from slipstream.errors import InvalidParameterError

if TYPE_CHECKING:
    from slipstream.db.base import Database

uri_argument = click.argument(
    "uri", required=False, envvar=["SLIPSTREAM_BACKEND_STORE_URI", "MLFLOW_BACKEND_STORE_URI"]
)


@click.group("db")
def db() -> None:
    """Look at, upgrade, check and copy the database behind a server.

    URI is the server's --backend-store-uri; without it SLIPSTREAM_BACKEND_STORE_URI is read (or MLflow's), then
    SLIPSTREAM_TRACKING_URI where that is a database, and else sqlite:///slipstream.db is meant.
    """


@db.command()
@uri_argument
def status(uri: str | None) -> None:
    """Show the schema's number, what an upgrade would apply, the size and the counts."""
    from slipstream.db.copies import find_copies
    from slipstream.db.migrate import look
    from slipstream.db.sqlite import SqliteDatabase
    from slipstream.store.invariants import count_rows

    database = _open(uri)
    state = look(database)
    pairs: list[tuple[str, object]] = [
        ("Database", database.describe()),
        ("Schema", f"{state.number} (this slipstream writes {state.newest})"),
        ("To be applied", ", ".join(state.pending) or "nothing"),
        ("Size", f"{database.count_bytes() / 2**20:.1f} MiB"),
    ]
    if not state.pending:
        connection = database.connect()
        try:
            with connection.read() as tx:
                pairs += [(name.capitalize(), count) for name, count in count_rows(tx).items()]
        finally:
            connection.close()
    if isinstance(database, SqliteDatabase):
        copies = find_copies(database.path)
        pairs.append(("Copies before upgrades", ", ".join(copy.name for copy in copies) or "none"))
    out.fields(pairs)


@db.command()
@uri_argument
def upgrade(uri: str | None) -> None:
    """Bring the tables to the newest schema, as a server does by itself when it starts.

    Of an SQLite database a copy is kept beside it first.
    """
    from slipstream.db.migrate import prepare

    applied = prepare(_open(uri, may_be_new=True))
    for name in applied:
        out.line(f"applied {name}")
    if not applied:
        out.line("The schema is the newest; nothing was changed.")


@db.command()
@uri_argument
@click.pass_context
def check(ctx: click.Context, uri: str | None) -> None:
    """Look for damage and for rows that cannot be: exit code 1 if there are any.

    Reads the whole database; a server may go on meanwhile.
    """
    from slipstream.db.migrate import look
    from slipstream.store.invariants import Problem, find_problems

    database = _open(uri)
    state = look(database)
    if state.pending:
        raise InvalidParameterError(
            f"The schema of {database.describe()} is {state.number}, and what is checked is {state.newest}. Run "
            "slipstream db upgrade first."
        )
    damage = database.find_damage()
    problems: list[Problem] = []
    for line in damage:
        out.line(f"damaged: {line}. Restore a copy; without one see https://sqlite.org/recovery.html")
    if not damage:
        connection = database.connect()
        try:
            with connection.read() as tx:
                problems = find_problems(tx)
        finally:
            connection.close()
    for problem in problems:
        out.line(f"wrong: {problem.what}. {problem.way_out}")
    if damage or problems:
        ctx.exit(1)
    out.line(f"{database.describe()} is sound.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@uri_argument
def backup(file: Path, uri: str | None) -> None:
    """Copy an SQLite database to FILE while a server goes on writing; the copy is of one moment.

    For PostgreSQL it prints the command of pg_dump to run.
    """
    database = _open(uri)
    database.copy_to(file)
    out.line(f"Copied {database.describe()} to {file} ({file.stat().st_size / 2**20:.1f} MiB).")


def _open(uri: str | None, *, may_be_new: bool = False) -> "Database":
    from slipstream import settings
    from slipstream.client.addresses import DEFAULT_TRACKING_URI
    from slipstream.db.uri import is_database_uri, open_database

    chosen = uri or settings.TRACKING_URI.get() or DEFAULT_TRACKING_URI
    if not is_database_uri(chosen):
        raise InvalidParameterError(
            f"'{chosen}' is not a database. On the machine of the server, name what its --backend-store-uri names, "
            "such as sqlite:///slipstream.db."
        )
    database = open_database(chosen)
    if not may_be_new:
        database.require_present()
    return database
