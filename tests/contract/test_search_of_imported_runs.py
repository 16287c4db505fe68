"""A server that searches in memory sees what an import writes beside it, in each of its steps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipstream.db.uri import open_database
from slipstream.entities import Metric, Param, Run, RunData, RunInfo, RunTag
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, QueuedStore
from slipstream.store.run_index.index import RunIndex

FILTER = "metrics.loss < 1 AND params.lr = '0.1'"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """A server's store and an importer's, on one database."""
    uri = (
        f"sqlite:///{tmp_path / 's.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_database")
    )
    server: Any = QueuedStore(
        Engine(open_database(uri, "normal"), StoreConfig(artifact_root="/a", run_index=RunIndex()))
    )
    importer: Any = QueuedStore(Engine(open_database(uri, "normal"), StoreConfig(artifact_root="/a")))
    yield server, importer
    server.close()
    importer.close()


def imported(status: str, **data: Any) -> Run:
    info = RunInfo(
        run_id="a" * 32,
        experiment_id="0",
        run_name="one",
        user_id="",
        status=status,
        start_time=1,
        artifact_uri="/a/0",
    )
    return Run(info=info, data=RunData(**data))


def found(store: Any, filter_string: str) -> list[str]:
    return [run.info.status for run in store.search_runs(["0"], filter_string).items]


def test_each_step_of_an_import_is_seen(stores: tuple[Any, Any]) -> None:
    server, importer = stores
    server.create_run("0", tags=[RunTag("x", "y")])
    assert found(server, FILTER) == []
    importer.import_run(imported("RUNNING", params={"lr": "0.1"}), unfinished=True)
    assert found(server, FILTER) == []
    importer.import_points("a" * 32, [Metric("loss", 0.5, 1, 1)])
    assert found(server, FILTER) == []  # not before all of it is there
    importer.finish_run("a" * 32, "active")
    assert found(server, FILTER) == ["RUNNING"]
    importer.update_imported_run(imported("FINISHED", tags={"done": "yes"}))
    assert found(server, f"{FILTER} AND tags.done = 'yes'") == ["FINISHED"]
    importer.import_points("a" * 32, [Metric("loss", 5.0, 2, 2)])
    assert found(server, FILTER) == []
    server.log_batch("a" * 32, params=[Param("other", "1")])
    assert found(server, "params.other = '1'") == ["FINISHED"]
