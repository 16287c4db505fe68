"""The database of another store of slipstream: all of it, at one moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, LiteralString, cast

import msgspec

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.uri import open_store
from slipstream.db.foreign import ForeignDatabase
from slipstream.db.migrate import migrations
from slipstream.entities import RegisteredModel, Run
from slipstream.errors import InvalidParameterError
from slipstream.moving.report import Report
from slipstream.moving.source import LoggedModelRecord, Past, RegisteredModelRecord, Totals
from slipstream.moving.sources.any_store import StoreSource
from slipstream.store.base import Store
from slipstream.store.config import StoreConfig
from slipstream.store.import_records import ImportedVersion
from slipstream.store.sql import SqlStore

SELECT_SCHEMA: LiteralString = "SELECT MAX(number) FROM schema_migrations"
_POINTS = 100_000
_PAGE = 500


class SlipstreamDatabase(StoreSource):
    """Reads a database of slipstream's, of the schema of this version.

    Args:
        database: where it is.
        report: what cannot be read is noted there.
        files: the folder behind `mlflow-artifacts:/`, and where files are unless runs say otherwise.

    Raises:
        InvalidParameterError: it was made by another version.
    """

    def __init__(self, database: ForeignDatabase, report: Report, files: Path) -> None:
        made: int = database.fetch_all(SELECT_SCHEMA)[0][0]
        known = migrations()[-1].number
        if made != known:
            way_out = (
                "Upgrade slipstream: pip install --upgrade slipstream"
                if made > known
                else "Open a copy of it once, which upgrades that: slipstream experiments search with the tracking URI "
                "of the copy"
            )
            raise InvalidParameterError(
                f"{database.where} has schema {made}, and this slipstream reads {known}. {way_out}."
            )
        self._database = database
        self.where = database.where
        self._files = files
        self._sql = SqlStore(database.tx, StoreConfig(artifact_root=""))
        title = f"{database.where} (slipstream)"
        store = cast("Store", _Explained(self._sql, database.explained))
        super().__init__(store, report, title, points_page=_POINTS)

    def totals(self) -> Totals:
        return Totals(self._database.count("runs"))

    def pasts(self, found: Sequence[Run]) -> dict[str, Past]:
        with self._database.explained():
            ids = self._sql.find_runs_with_past([run.info.run_id for run in found])
        return {run_id: self.past(run_id) for run_id in ids}

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        after = ""
        while True:
            with self._database.explained():
                found = self._sql.find_logged_model_stages(experiment_ids, after, _PAGE)
            if not found:
                return
            for model_id, stage in found:
                yield LoggedModelRecord(self._store.get_logged_model(model_id, allow_deleted=True), stage)
            after = found[-1][0]

    def registered_model(self, model: RegisteredModel) -> RegisteredModelRecord:
        with self._database.explained():
            origins = self._sql.find_version_origins(model.name)
            last = self._sql.find_last_versions()[model.name]
        versions: list[ImportedVersion] = []
        for number, origin in origins.items():
            version = self._store.get_model_version(model.name, number)
            versions.append(
                ImportedVersion(
                    version=msgspec.structs.replace(version, model_id=origin.model_id),
                    storage_location=origin.storage_location,
                )
            )
        return RegisteredModelRecord(model, versions, last)

    def own_places(self) -> list[str]:
        return [str(self._files), "mlflow-artifacts:/"]

    def artifacts(self, uri: str) -> ArtifactStore:
        return open_store(uri, root_for_proxy=self._files)

    def close(self) -> None:
        self._database.close()


class _Explained:
    """Calls a store's methods, and tells the driver's errors as ours."""

    def __init__(self, store: SqlStore, explained: Callable[[], AbstractContextManager[None]]) -> None:
        self._store = store
        self._explained = explained

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._explained():
                return method(*args, **kwargs)

        return call
