"""The real mlflow client deletes and restores as on MLflow, whatever our manner did beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import TrashKind, TrashSelection

mlflow: Any = pytest.importorskip("mlflow", reason="the wire tests need mlflow-skinny")

pytestmark = [pytest.mark.slow, pytest.mark.wire]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    process = ServerProcess(tmp_path)
    yield process
    assert process.stop() == 0


@pytest.fixture
def ours(server: ServerProcess) -> Iterator[RestStore]:
    transport = Transport(server.url)
    yield RestStore(transport)
    transport.close()


@pytest.fixture
def client(server: ServerProcess) -> Any:
    return mlflow.MlflowClient(server.url)


def refused(call: Any, *arguments: Any) -> str:
    with pytest.raises(mlflow.exceptions.MlflowException) as caught:
        call(*arguments)
    return caught.value.error_code


def test_a_deleted_experiment_keeps_its_name(client: Any) -> None:
    number = client.create_experiment("e")
    run = client.create_run(number).info.run_id
    client.delete_experiment(number)
    assert refused(client.create_experiment, "e") == "RESOURCE_ALREADY_EXISTS"
    assert client.get_experiment_by_name("e").lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert refused(client.delete_experiment, number) == "RESOURCE_DOES_NOT_EXIST"
    client.restore_experiment(number)
    assert client.get_experiment(number).name == "e"
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_deleting_asks_for_no_registered_model(client: Any) -> None:
    run = client.create_run("0").info.run_id
    client.create_registered_model("m")
    client.create_model_version("m", f"runs:/{run}/model", run)
    client.delete_run(run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    client.delete_run(run)
    client.restore_run(run)
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_beside_our_manner(client: Any, ours: RestStore) -> None:
    number = client.create_experiment("e")
    client.delete_experiment(number)
    second = ours.create_experiment_anew("e")
    assert client.get_experiment_by_name("e").experiment_id == second
    assert client.get_experiment(number).name.startswith("e (deleted 20")
    client.restore_experiment(number)
    assert client.get_experiment(number).lifecycle_stage == "active"
    ours.move_to_trash(TrashKind.EXPERIMENT, second)
    client.restore_experiment(second)
    assert client.get_experiment_by_name("e").experiment_id == second


def test_what_is_removed_is_not_there(client: Any, ours: RestStore) -> None:
    number = client.create_experiment("e")
    run = client.create_run(number).info.run_id
    client.log_metric(run, "loss", 1.0)
    client.delete_experiment(number)
    assert ours.remove_trash(TrashSelection()).counts.experiments == 1
    assert refused(client.get_run, run) == "RESOURCE_DOES_NOT_EXIST"
    assert refused(client.restore_run, run) == "RESOURCE_DOES_NOT_EXIST"
    assert refused(client.log_metric, run, "loss", 1.0) == "RESOURCE_DOES_NOT_EXIST"
    assert refused(client.get_experiment, number) == "RESOURCE_DOES_NOT_EXIST"
    assert client.get_experiment_by_name("e") is None
    assert client.create_experiment("e") != number
    view = mlflow.entities.ViewType.ALL
    assert len(client.search_runs([number, "0"], run_view_type=view)) == 0
