"""From a backend-store URI to a database."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from slipstream.db.base import Database
from slipstream.errors import InvalidParameterError

_IN_MEMORY = ("/:memory:", "/file::memory:")
DATABASE_SCHEMES = ("sqlite", "postgresql", "postgres")


def is_database_uri(uri: str) -> bool:
    """Tell whether `open_database` knows the URI's scheme."""
    return uri.split(":", 1)[0].split("+", 1)[0] in DATABASE_SCHEMES


def artifact_folder(uri: str) -> Path:
    """Return where artifacts go unless somebody says otherwise: beside an SQLite file, else in the working folder.

    The SDK and the server both ask here, so that each finds what the other has stored.
    """
    name = "slipstream-artifacts"
    if uri.split(":", 1)[0].split("+", 1)[0] == "sqlite":
        return Path(unquote(urlsplit(uri).path)[1:]).absolute().parent / name
    return Path(name).absolute()


def open_database(uri: str, durability: str = "full") -> Database:
    """Return the database that `uri` names; nothing is connected or created yet.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user:password@host/database`.

    Raises:
        InvalidParameterError: the scheme is unknown, or the URI names no file.
    """
    scheme = uri.split(":", 1)[0].split("+", 1)[0]
    if scheme == "sqlite":
        from slipstream.db.sqlite import SqliteDatabase

        parts = urlsplit(uri)
        if parts.query or parts.fragment:
            raise InvalidParameterError(
                f"The database URI '{uri}' has options after the file's name, and none is known here. Leave them out; "
                "where ? or # belongs to the name, write %3F or %23."
            )
        path = unquote(parts.path)
        if parts.netloc or not path.strip("/") or path.endswith(_IN_MEMORY):
            raise InvalidParameterError(
                f"The database URI '{uri}' names no file. Write sqlite:///file.db, or sqlite:////folder/file.db "
                "for an absolute path"
            )
        return SqliteDatabase(Path(path[1:]), durability)
    if scheme in DATABASE_SCHEMES:
        from slipstream.db.postgres import PostgresDatabase

        return PostgresDatabase(uri, durability)
    raise InvalidParameterError(
        f"The backend store URI '{uri}' is not supported. Use sqlite:///file.db or postgresql://user@host/database"
    )
