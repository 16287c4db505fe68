"""One import from beginning to end: open both sides, take, close."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.uri import is_local, local_folder, open_store
from slipstream.client.connect import normalise, shown_uri
from slipstream.db.foreign import open_foreign
from slipstream.db.uri import artifact_folder, open_database
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.moving.bars import bar
from slipstream.moving.files import Files
from slipstream.moving.opening import open_source
from slipstream.moving.report import Report
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.slipstream_db import SlipstreamDatabase
from slipstream.moving.taking import Taking
from slipstream.moving.target import Target
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine
from slipstream.store.sql import SqlStore

PROXIED = "mlflow-artifacts:/"


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    into: str
    """A database URI, or a path that ends in `.db`."""
    experiments: Sequence[str] = ()
    """Names; all when empty, and then the registry, too."""
    about: SourceOptions = SourceOptions()
    dry_run: bool = False
    update: bool = False
    """Bring runs up to date that are there already and changed in the source, or had not ended."""
    copy_artifacts: bool = False
    artifacts_from: Sequence[str] = ()
    """Places besides the source's own that files may be copied from."""
    artifact_root: str | None = None
    """Where the store keeps artifacts, as its server is told; that of its first experiment when not given."""
    artifacts_destination: str | None = None
    """What is behind `mlflow-artifacts:/` of the store's own server."""


def run_import(options: ImportOptions, report: Report) -> None:
    """Take everything; the report is filled as it goes, so that it tells the truth when this raises.

    Raises:
        InvalidParameterError: the source or the target cannot be used.
        UnavailableError: one of them cannot be reached now. What was committed stays; start it again.
    """
    into = _database_uri(options.into)
    report.target = shown_uri(into)
    report.dry_run = options.dry_run
    with ExitStack() as stack:
        source = stack.enter_context(
            closing(
                open_source(
                    options.source,
                    report,
                    msgspec.structs.replace(options.about, takes_files=options.copy_artifacts),
                )
            )
        )
        report.source = source.title
        if isinstance(source, SlipstreamDatabase) and source.where == open_database(into).describe():
            raise InvalidParameterError(
                f"Cannot import {source.where} into itself. Name another database with --into."
            )
        target, config = _open_target(stack, into, options)
        files = None
        if options.copy_artifacts:
            shown = stack.enter_context(bar("files", None, "B"))
            places = [*source.own_places(), *options.artifacts_from]
            root = _file_root(
                config.artifact_root, options.artifacts_destination or str(artifact_folder(into))
            )
            files = Files(source.artifacts, places, root, shown, is_dry=options.dry_run)
        Taking(
            source, target, report, files=files, experiments=options.experiments, updates=options.update
        ).run()


def _database_uri(text: str) -> str:
    if text.startswith(("http://", "https://")):
        raise InvalidParameterError(
            f"Cannot import into the server {shown_uri(text)}: ids and times are kept, which no server lets its clients "
            "choose. Run the import beside the server's database and name that, such as --into sqlite:///slipstream.db; "
            "the server may go on meanwhile."
        )
    return normalise(text)


def _open_target(stack: ExitStack, into: str, options: ImportOptions) -> tuple[Target, StoreConfig]:
    if options.dry_run:
        look = _look_at(stack, into)
        config = _config(into, options, look)
        return Target(config, None, look), config
    database = open_database(into)
    engine = Engine(database, _config(into, options, None))
    stack.callback(engine.close)
    if options.artifact_root is None:
        engine.config = _config(into, options, engine.read)
    return Target(engine.config, engine), engine.config


def _look_at(stack: ExitStack, into: str) -> Callable[[Callable[[SqlStore], Any]], Any] | None:
    """Return how to read a store without touching it; `None` where there is none."""
    if into.startswith("sqlite:") and not Path(open_database(into).describe()).exists():
        return None
    database = stack.enter_context(closing(open_foreign(into)))
    if "schema_migrations" not in database.columns:
        return None
    store = SqlStore(database.tx, StoreConfig(artifact_root=""))

    def read(run: Callable[[SqlStore], Any]) -> Any:
        with database.explained():
            return run(store)

    return read


def _config(
    into: str, options: ImportOptions, read: Callable[[Callable[[SqlStore], Any]], Any] | None
) -> StoreConfig:
    """Return where the store keeps artifacts: as said, as its first experiment tells, or the default."""
    if options.artifact_root is not None:
        return StoreConfig(artifact_root=options.artifact_root)
    default = str(artifact_folder(into))
    if read is not None:
        try:
            location = read(lambda store: store.get_experiment("0")).artifact_location
        except SlipstreamError:
            return StoreConfig(artifact_root=default)
        if location.endswith("/0"):
            root = location.removesuffix("0")
            return StoreConfig(artifact_root=root if root == PROXIED else root.rstrip("/"))
    return StoreConfig(artifact_root=default)


def _file_root(artifact_root: str, destination: str) -> ArtifactStore:
    """Open the place where files go whose URIs begin with the artifact root."""
    if artifact_root.startswith("mlflow-artifacts:"):
        below = artifact_root.removeprefix("mlflow-artifacts:").strip("/")
        if is_local(destination):
            return open_store(str(local_folder(destination) / below))
        return open_store(f"{destination.rstrip('/')}/{below}".rstrip("/"))
    return open_store(artifact_root)
