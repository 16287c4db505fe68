"""What users pass, and that it has the same outcome in process and over HTTP."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import slipstream
from server_process import ServerProcess
from slipstream import SlipstreamClient
from slipstream.client import addresses
from slipstream.client.values import require_text, to_int64, to_text_map
from slipstream.entities import (
    Dataset,
    DatasetInput,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules.limits import check_int64
from slipstream.store.engine import open_store

# As Python reads the name of a file that is not UTF-8.
NOT_UTF8 = "a\udc80"


# -- one by one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (7, 7),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (7.0, 7),
        (np.float32(7), 7),
        (np.array(7), 7),
        (-(2**63), -(2**63)),
    ],
)
def test_whole_numbers(given: Any, expected: int) -> None:
    number = to_int64(given, "step")

    assert (type(number), number) == (int, expected)


@pytest.mark.parametrize(
    "given",
    [
        "3",
        "",
        1.5,
        math.nan,
        math.inf,
        True,
        np.bool_(True),
        None,
        2**63,
        -(2**63) - 1,
        pytest.param(10**5000, id="huge"),
        [1],
    ],
)
def test_what_is_no_whole_number_is_named(given: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"for 'step'.*whole number"):
        to_int64(given, "step")
    with pytest.raises(InvalidParameterError, match=r"for 'step'.*whole number"):
        check_int64(given, "step")


def test_texts() -> None:
    assert type(require_text(np.str_("größe"), "key")) is str
    assert require_text(np.str_("größe"), "key") == "größe"
    for given in (5, b"k", NOT_UTF8):
        with pytest.raises(InvalidParameterError, match="for 'key'") as caught:
            require_text(given, "key")
        assert str(caught.value).isascii()
    with pytest.raises(InvalidParameterError, match="'tags.value'"):
        to_text_map({"k": NOT_UTF8})


# -- in process and over HTTP -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = ServerProcess(tmp_path_factory.mktemp("values"), "--durability", "normal")
    yield process.url
    assert process.stop() == 0


@pytest.fixture(params=["in process", "over HTTP"])
def client(
    request: pytest.FixtureRequest, server: str, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> SlipstreamClient:
    uri = tracking if request.param == "in process" else server
    monkeypatch.setattr(addresses, "_chosen", {"tracking": uri})
    return SlipstreamClient(uri)


@pytest.fixture
def run_id(client: SlipstreamClient) -> str:
    return client.create_run("0").info.run_id


def test_integers_of_numpy_are_steps_and_times(client: SlipstreamClient, run_id: str) -> None:
    four: Any = np.int64(4)
    slipstream.log_metric("fluent", 1.0, step=four, timestamp=four, run_id=run_id)
    slipstream.log_metrics({"a": 1, "b": np.float32(2)}, step=four, timestamp=four, run_id=run_id)
    client.log_metric(run_id, "client", np.float64(1), four, four)
    client.log_batch(run_id, [Metric("batch", 1.0, four, four)])
    client.set_terminated(run_id, end_time=four)

    run = client.get_run(run_id)
    assert {point.key for point in run.data.latest_metrics} == {"fluent", "a", "b", "client", "batch"}
    assert {(point.step, point.timestamp) for point in run.data.latest_metrics} == {(4, 4)}
    assert all(type(point.step) is int for point in run.data.latest_metrics)
    assert run.info.end_time == 4
    assert client.create_run("0", start_time=four).info.start_time == 4


def dataset(source: str) -> DatasetInput:
    return DatasetInput(dataset=Dataset(name="d", digest="1", source_type="local", source=source))


WRONG: list[tuple[str, Callable[[SlipstreamClient, str], object]]] = [
    ("step", lambda client, run: client.log_metric(run, "x", 1, step="a")),  # pyright: ignore[reportArgumentType]
    ("step", lambda client, run: client.log_metric(run, "x", 1, step=1.5)),  # pyright: ignore[reportArgumentType]
    ("step", lambda client, run: client.log_metric(run, "x", 1, step=2**63)),
    ("step", lambda client, run: client.log_metric(run, "x", 1, step=True)),
    ("step", lambda client, run: client.log_metric(run, "x", 1, step=False)),
    ("step", lambda client, run: client.log_batch(run, [Metric("x", 1.0, 1, 1.5)])),  # pyright: ignore[reportArgumentType]
    ("step", lambda client, run: slipstream.log_metric("x", 1, step="a", run_id=run)),  # pyright: ignore[reportArgumentType]
    ("timestamp", lambda client, run: client.log_metric(run, "x", 1, timestamp=1.5e12 + 0.5)),  # pyright: ignore[reportArgumentType]
    ("timestamp", lambda client, run: slipstream.log_metric("x", 1, timestamp=0.5, run_id=run)),  # pyright: ignore[reportArgumentType]
    ("start_time", lambda client, run: client.create_run("0", start_time=1.5)),  # pyright: ignore[reportArgumentType]
    ("end_time", lambda client, run: client.set_terminated(run, end_time=1.5)),  # pyright: ignore[reportArgumentType]
    ("max_results", lambda client, run: client.search_runs(["0"], max_results="5")),  # pyright: ignore[reportArgumentType]
    ("max_results", lambda client, run: client.search_experiments(max_results="5")),  # pyright: ignore[reportArgumentType]
    ("run_view_type", lambda client, run: client.search_runs(["0"], run_view_type=9)),
    ("step", lambda client, run: client.log_outputs(run, [LoggedModelOutput("m-1", 1.5)])),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.log_metric(run, 5, 1)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: slipstream.log_metric(5, 1, run_id=run)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: slipstream.log_params({1: 2}, run_id=run)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.log_batch(run, [Metric(5, 1.0, 1)])),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.log_param(run, 1, 2)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.set_tag(run, 1, 2)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.log_batch(run, tags=[RunTag(1, "2")])),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.delete_tag(run, 1)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.get_metric_history(run, 5)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.set_experiment_tag("0", 1, 2)),  # pyright: ignore[reportArgumentType]
    ("run_id", lambda client, run: client.get_run(5)),  # pyright: ignore[reportArgumentType]
    ("run_id", lambda client, run: client.get_run(None)),  # pyright: ignore[reportArgumentType]
    ("experiment_name", lambda client, run: slipstream.set_experiment(5)),  # pyright: ignore[reportArgumentType]
    ("name", lambda client, run: client.create_experiment(5)),  # pyright: ignore[reportArgumentType]
    ("new_name", lambda client, run: client.rename_experiment("0", 5)),  # pyright: ignore[reportArgumentType]
    ("run_name", lambda client, run: slipstream.start_run(run_name=5)),  # pyright: ignore[reportArgumentType]
    ("run_name", lambda client, run: client.create_run("0", run_name=5)),  # pyright: ignore[reportArgumentType]
    ("name", lambda client, run: client.update_run(run, name=5)),  # pyright: ignore[reportArgumentType]
    ("key", lambda client, run: client.log_metric(run, NOT_UTF8, 1)),
    ("key", lambda client, run: client.log_param(run, NOT_UTF8, "v")),
    ("value", lambda client, run: client.log_param(run, "p", NOT_UTF8)),
    ("value", lambda client, run: client.log_batch(run, params=[Param("p", NOT_UTF8)])),
    ("value", lambda client, run: client.set_tag(run, "t", NOT_UTF8)),
    ("tags.value", lambda client, run: client.create_run("0", tags={"t": NOT_UTF8})),
    ("run_name", lambda client, run: client.create_run("0", run_name=NOT_UTF8)),
    ("name", lambda client, run: client.create_experiment(NOT_UTF8)),
    ("value", lambda client, run: client.set_experiment_tag("0", "t", NOT_UTF8)),
    ("experiment_id", lambda client, run: client.get_experiment(NOT_UTF8)),
    ("run_id", lambda client, run: client.get_run(NOT_UTF8)),
    ("run_id", lambda client, run: client.log_text(NOT_UTF8, "text", "f.txt")),
    ("params.value", lambda client, run: client.create_logged_model("0", params={"p": NOT_UTF8})),
    ("model_id", lambda client, run: client.get_logged_model(NOT_UTF8)),
    (
        "source",
        lambda client, run: client.log_inputs(
            run, [dataset(NOT_UTF8)]
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_values_are_named(client: SlipstreamClient, run_id: str, number: int) -> None:
    field, call = WRONG[number]

    with pytest.raises(InvalidParameterError, match=f"'{field}'"):
        call(client, run_id)
    assert client.get_run(run_id).data.latest_metrics == []


def test_filter_that_is_not_unicode(client: SlipstreamClient) -> None:
    with pytest.raises(InvalidParameterError, match="filter"):
        client.search_runs(["0"], f"tags.x = '{NOT_UTF8}'")


def test_status_of_a_model_is_known(client: SlipstreamClient) -> None:
    model = client.create_logged_model("0")

    with pytest.raises(InvalidParameterError, match="READY"):
        client.finalize_logged_model(model.model_id, "DONE")


def test_infinite_metrics_read_back(client: SlipstreamClient) -> None:
    experiment_id = client.create_experiment(f"infinite {id(client)}")
    run_id = client.create_run(experiment_id).info.run_id
    model = client.create_logged_model(experiment_id, source_run_id=run_id)
    client.log_metric(run_id, "up", math.inf, model_id=model.model_id)
    client.log_batch(run_id, [Metric("down", -math.inf, 1, 1)])

    expected = {"up": math.inf, "down": -math.inf}
    assert client.get_run(run_id).data.metrics == expected
    assert [run.data.metrics for run in client.search_runs([experiment_id])] == [expected]
    assert [point.value for point in client.get_metric_history(run_id, "down")] == [-math.inf]
    assert [point.value for point in client.get_logged_model(model.model_id).metrics] == [math.inf]
    found = client.search_logged_models([experiment_id])
    assert [point.value for point in found[0].metrics] == [math.inf]


def test_ragged_table_is_one_row(client: SlipstreamClient, run_id: str) -> None:
    client.log_table(run_id, {"a": [1], "b": [1, 2]}, "x.json")

    assert client.load_table("0", "x.json", [run_id]).to_dict("list") == {"a": [[1]], "b": [[1, 2]]}


# -- the store by itself ----------------------------------------------------------------------------


def test_store_keeps_integers_whoever_calls(tmp_path: Any) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.db", str(tmp_path))
    run_id = store.create_run("0").info.run_id
    wrong: Any
    for wrong in ("a", 1.5, np.int64(3), True, 2**63):
        with pytest.raises(InvalidParameterError, match="'step'"):
            store.log_metric(run_id, Metric("m", 1.0, 1, wrong))
        with pytest.raises(InvalidParameterError, match=r"'metrics\[0\]\.timestamp'"):
            store.log_batch(run_id, [Metric("m", 1.0, wrong, 1)])
        with pytest.raises(InvalidParameterError, match="'start_time'"):
            store.create_run("0", start_time=wrong)
        with pytest.raises(InvalidParameterError, match="'end_time'"):
            store.update_run(run_id, end_time=wrong)
        with pytest.raises(InvalidParameterError, match="'max_results'"):
            store.search_runs(["0"], None, ViewType.ALL, wrong)
    assert store.get_run(run_id).data.latest_metrics == []
    store.close()  # pyright: ignore[reportAttributeAccessIssue]
