"""What filters and orders find, on SQLite and PostgreSQL; what the language refuses, and how.

Long because it is one table of the language: every field with every operator, on one small set of entities.
"""

import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

import search_tables
from search_tables import Point, Run
from slipstream.db.base import Connection, Transaction
from slipstream.errors import InvalidParameterError
from slipstream.search import sql


@pytest.fixture(scope="module", params=search_tables.DATABASES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    with search_tables.connection(request, tmp_path_factory) as connection:
        yield connection


@pytest.fixture
def tx(connection: Connection) -> Iterator[Transaction]:
    with search_tables.scratch(connection) as tx:
        yield tx


@pytest.fixture
def runs(tx: Transaction) -> Transaction:
    search_tables.insert_runs(
        tx,
        [
            Run(
                "r1",
                1000,
                name="r1",
                user_id="u-r1",
                metrics={"acc": 0.9, "loss": 0.1, "val/rmse": 1.0},
                params={"lr": "0.1", "opt": "sgd"},
                tags={"team": "red", "Mixed Key": "one", "from": "x", "empty": ""},
                datasets={("train.csv", "d1"): "training", ("val.csv", "d2"): None},
            ),
            Run(
                "r2",
                3000,
                5000,
                "r2",
                "FINISHED",
                "u-r2",
                {"acc": 0.5},
                {"lr": "0.01", "opt": "adam"},
                {"team": "blue"},
            ),
            Run(
                "r3",
                2000,
                None,
                "r3",
                "RUNNING",
                "u-r3",
                {"acc": math.nan, "loss": 0.3},
                {"lr": "0.1"},
                {"team": "Red"},
            ),
            Run(
                "r4",
                2500,
                None,
                "r4",
                "RUNNING",
                "u-r4",
                {"loss": 0.2, "acc2": math.inf},
                {"opt": "Adam"},
                {"größe": "ÄÖ", "rate": "100%", "odd": "a\x01b", "path": "a\\b"},
                {("val.csv", "d2"): "eval"},
            ),
        ],
    )
    return tx


def found(tx: Transaction, query: sql.Query) -> str:
    return " ".join(search_tables.search(tx, query)[0])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "r1 r2 r3 r4"),
        ("metrics.acc > 0.6", "r1"),
        ("metrics.acc <= 0.5", "r2"),
        ("metric.acc != 0.5", "r1 r3"),
        ("metrics.acc = 0", ""),
        ("metrics.acc < 1e400", "r1 r2"),
        ("metrics.acc2 > 1e300", "r4"),
        ("metrics.loss = 0.2", "r4"),
        ("metrics.loss >= 0.2 AND metrics.loss < 0.3", "r4"),
        ('metrics."val/rmse" = 1', "r1"),
        ("metrics.none != 1", ""),
        ("params.lr = '0.1'", "r1 r3"),
        ("params.lr != '0.1'", "r2"),
        ("param.opt LIKE 'a%'", "r2"),
        ("param.opt LIKE '_dam'", "r2 r4"),
        ("parameters.opt ILIKE 'ADAM'", "r2 r4"),
        ("tags.team = 'red'", "r1"),
        ("tags.team ILIKE 'red'", "r1 r3"),
        ("tag.team IS NULL", "r4"),
        ("tags.team IS NOT NULL", "r1 r2 r3"),
        ("params.opt IS NULL", "r3"),
        ("tags.empty IS NOT NULL", "r1"),
        ("tags.empty = ''", "r1"),
        ("tags.`Mixed Key` = 'one'", "r1"),
        ('tags."Mixed Key" = "one"', "r1"),
        ("`tags`.from = 'x'", "r1"),
        ("tags.größe ILIKE 'ä_'", "r4"),
        ("tags.größe LIKE 'ä_'", ""),
        ("tags.rate LIKE '100%'", "r4"),
        (r"tags.rate LIKE '100\%'", ""),
        (r"tags.path LIKE 'a\b'", "r4"),
        (r"tags.path LIKE '%\'", ""),
        ("tags.odd LIKE '%\x01%'", "r4"),
        ("tags.odd LIKE 'a\x01'", ""),
        ("attributes.status = 'FINISHED'", "r2"),
        ("status = 'RUNNING'", "r1 r3 r4"),
        ("attributes.run_name LIKE 'r%'", "r1 r2 r3 r4"),
        ("`run name` = 'r1'", "r1"),
        ("attribute.`Run Name` != 'r1'", "r2 r3 r4"),
        ("attributes.run_id IN ('r1', 'r3')", "r1 r3"),
        ("run_id NOT IN ('r1', 'r3')", "r2 r4"),
        ("run_id ILIKE 'R1'", "r1"),
        ("attributes.start_time >= 2000", "r2 r3 r4"),
        ("start_time < 2000", "r1"),
        ("run.start_time > 1999.5", "r2 r3 r4"),
        ("created != 1000", "r2 r3 r4"),
        ("attr.Created > 0", "r1 r2 r3 r4"),
        ("end_time = 5000", "r2"),
        ("end_time != 4", "r2"),
        ("end_time < 99999999999999999999", "r2"),
        ("user_id = 'u-r1'", "r1"),
        ("attr.artifact_uri LIKE '%artifacts'", "r1 r2 r3 r4"),
        ("metrics.acc > 0.1 AND params.opt = 'adam' and tags.team = 'blue'", "r2"),
        ("dataset.name = 'train.csv'", "r1"),
        ("datasets.digest IN ('d2', 'd9')", "r1 r4"),
        ("datasets.name NOT IN ('train.csv')", "r1 r4"),
        ("dataset.context = 'training'", "r1"),
        ("dataset.context != 'training'", "r4"),
        ("dataset.name LIKE '%.csv'", "r1 r4"),
        ("dataset.name = 'train.csv' AND dataset.digest = 'd2'", "r1"),
    ],
)
def test_runs_filters(runs: Transaction, text: str, names: str) -> None:
    assert found(runs, sql.compile_runs(text, ["run_name"], None)) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ([], "r2 r4 r3 r1"),
        (["metrics.acc ASC"], "r2 r1 r3 r4"),
        (["metrics.acc DESC"], "r1 r2 r3 r4"),
        (["metrics.none"], "r2 r4 r3 r1"),
        (["params.lr ASC", "start_time ASC"], "r2 r1 r3 r4"),
        (["tags.team"], "r3 r2 r1 r4"),
        (["tags.team DESC"], "r1 r2 r3 r4"),
        (["attributes.start_time"], "r1 r3 r4 r2"),
        (["Created desc"], "r2 r4 r3 r1"),
        (["status", "run_name DESC"], "r2 r4 r3 r1"),
        (["end_time"], "r2 r4 r3 r1"),
        (["end_time DESC"], "r2 r4 r3 r1"),
        (["metrics.`acc` desc", "metrics.loss asc"], "r1 r2 r3 r4"),
        (["run_id DESC", "metrics.acc"], "r4 r3 r2 r1"),
    ],
)
def test_runs_order(runs: Transaction, order: list[str], names: str) -> None:
    assert found(runs, sql.compile_runs(None, order, None)) == names


@pytest.mark.parametrize(
    "literal",
    [
        "1e30",
        "-1e30",
        "1e999",
        "-1e999",
        "99999999999999999999",
        "-99999999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "9007199254740993",
        "2.5",
        "-0.5",
        "1e3",
        "0",
        "9" * 5000,
    ],
)
@pytest.mark.parametrize("operator", ["=", "!=", ">", ">=", "<", "<="])
def test_integers_compare_exactly_with_any_number(tx: Transaction, literal: str, operator: str) -> None:
    stored = [-(2**63), -1, 0, 2, 3, 1000, 2**53, 2**53 + 1, 2**63 - 1]
    search_tables.insert_runs(tx, [Run(str(number), number) for number in stored])
    limit = math.copysign(2**70, float(literal)) if math.isinf(float(literal)) else Fraction(literal)
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
    }
    expected = [str(number) for number in stored if compare[operator](number, limit)]
    assert (
        found(tx, sql.compile_runs(f"start_time {operator} {literal}", ["start_time"], None)).split()
        == expected
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "a b B"),
        ("name = 'a'", "a"),
        ("name ILIKE 'B'", "b B"),
        ("attribute.name LIKE 'b'", "b"),
        ("experiment_id = '2'", "b"),
        ("experiment_id != '2'", "a B"),
        ("experiment_id IN ('1', '3')", "a B"),
        ("experiment_id NOT IN ('1', '99999999999999999999')", "b B"),
        ("experiment_id IN ('99999999999999999999')", ""),
        ("experiment_id NOT IN ('99999999999999999999')", "a b B"),
        ("experiment_id != '-99999999999999999999'", "a b B"),
        (f"experiment_id = '{'0' * 5000}1'", "a"),
        ("creation_time > 10", "b B"),
        ("last_update_time = 10", "a"),
        ("creation_time < 99999999999999999999", "a b B"),
        ("tags.kind = 'x'", "a"),
        ("tag.kind != 'x'", "b"),
        ("tags.kind IS NULL", "B"),
        ("tags.kind IS NOT NULL AND name LIKE '%'", "a b"),
    ],
)
def test_experiments_filters(tx: Transaction, text: str, names: str) -> None:
    _insert_experiments(tx)
    assert found(tx, sql.compile_experiments(text, ["experiment_id"], None)) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ([], "b B a"),
        (["name"], "B a b"),
        (["name DESC"], "b a B"),
        (["creation_time"], "a B b"),
        (["creation_time DESC"], "B b a"),
        (["last_update_time DESC", "experiment_id"], "b B a"),
    ],
)
def test_experiments_order(tx: Transaction, order: list[str], names: str) -> None:
    _insert_experiments(tx)
    assert found(tx, sql.compile_experiments(None, order, None)) == names


def _insert_experiments(tx: Transaction) -> None:
    search_tables.insert_experiment(tx, 1, "a", 10, {"kind": "x"})
    search_tables.insert_experiment(tx, 2, "b", 20, {"kind": "y"})
    search_tables.insert_experiment(tx, 3, "B", 20)


@pytest.fixture
def registry(tx: Transaction) -> Transaction:
    prompt = {"mlflow.prompt.is_prompt": "true"}
    for number, (name, updated, tags) in enumerate(
        [
            ("ant", 1, {"legs": "6"}),
            ("bee", 4, {"legs": "6"}),
            ("Cat", 2, {"legs": "4"}),
            ("hello", 3, prompt),
        ],
        1,
    ):
        search_tables.insert_model(tx, number, name, updated, tags)
    search_tables.insert_version(tx, 1, 1, 5, "run1", "s3://a/1")
    search_tables.insert_version(tx, 2, 1, 7, None, "s3://b/1", {"n": "one"})
    search_tables.insert_version(tx, 2, 2, 7, "run2", "s3://b/2", {"n": "two"})
    search_tables.insert_version(tx, 2, 10, 6, "", "s3://b/10")
    search_tables.insert_version(tx, 4, 1, 9, None, "p", prompt | {"n": "p"})
    search_tables.insert_version(tx, 4, 2, 9, None, "p")
    return tx


@pytest.mark.parametrize(
    ("text", "order", "names"),
    [
        (None, [], "Cat ant bee"),
        (None, ["name DESC"], "bee ant Cat"),
        (None, ["timestamp"], "ant Cat bee"),
        (None, ["last_updated_timestamp DESC"], "bee Cat ant"),
        ("name LIKE '%a%'", [], "Cat ant"),
        ("name ILIKE 'c%'", [], "Cat"),
        ("name IN ('ant', 'hello', 'bee')", [], "ant bee"),
        ("attribute.name NOT IN ('ant')", [], "Cat bee"),
        ("name != 'ant'", [], "Cat bee"),
        ("tags.legs = '6' AND name != 'bee'", [], "ant"),
        ("tags.legs != '6'", [], "Cat"),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", [], "hello"),
        ("tags.mlflow.prompt.is_prompt != 'false'", [], "hello"),
        ("tags.`mlflow.prompt.is_prompt` = 'false'", [], "Cat ant bee"),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", [], "Cat ant bee"),
        ("tags.`mlflow.prompt.is_prompt` LIKE 't%' AND name = 'bee'", [], "bee"),
        ("tag.`mlflow.prompt.is_prompt` = 'true' AND name = 'ant'", [], ""),
    ],
)
def test_registered_models(registry: Transaction, text: str | None, order: list[str], names: str) -> None:
    assert found(registry, sql.compile_registered_models(text, order, None)) == names


@pytest.mark.parametrize(
    ("text", "order", "names"),
    [
        (None, [], "bee2 bee1 bee10 ant1"),
        (None, ["name"], "ant1 bee10 bee2 bee1"),
        (None, ["version_number"], "ant1 bee1 bee2 bee10"),
        (None, ["creation_timestamp DESC"], "bee10 bee2 ant1 bee1"),
        (None, ["last_updated_timestamp", "version_number ASC"], "ant1 bee10 bee1 bee2"),
        ("name = 'bee'", ["version_number"], "bee1 bee2 bee10"),
        ("name IN ('ant', 'x')", [], "ant1"),
        ("version_number >= 2", [], "bee2 bee10"),
        ("version_number = '10'", [], "bee10"),
        ("version_number > '-99999999999999999999' AND version_number < 2", [], "bee1 ant1"),
        ("version_number = 99999999999999999999", [], ""),
        ("run_id = 'run1'", [], "ant1"),
        ("run_id != 'run1'", [], "bee2 bee10"),
        ("run_id NOT IN ('run1', '')", [], "bee2"),
        ("source_path LIKE 's3://b/%'", [], "bee2 bee1 bee10"),
        ("tags.n = 'two'", [], "bee2"),
        ("tag.n != 'two'", [], "bee1"),
        ("tags.n != 'two' AND tags.`mlflow.prompt.is_prompt` = 'true'", [], "hello1"),
    ],
)
def test_model_versions(registry: Transaction, text: str | None, order: list[str], names: str) -> None:
    assert found(registry, sql.compile_model_versions(text, order, None)) == names


@pytest.fixture
def logged(tx: Transaction) -> Transaction:
    search_tables.insert_runs(tx, [Run("run1")])
    search_tables.insert_logged_model(
        tx,
        1,
        "a",
        10,
        1,
        "run1",
        (Point("acc", 0.9, 1, ("train", "d1")), Point("acc", 0.5, 2), Point("acc", 0.7, 3, ("test", "d2"))),
        {"lr": "0.1"},
        {"k": "x"},
    )
    search_tables.insert_logged_model(
        tx, 2, "b", 20, 2, None, (Point("acc", 0.6, 1, ("train", "d3")),), {"lr": "1"}, {"k": "y"}
    )
    search_tables.insert_logged_model(tx, 3, "c", 20, 2, None, (Point("acc", math.nan, 1), Point("n", 1.0)))
    search_tables.insert_logged_model(tx, 4, "d", 5, 3)
    return tx


TRAIN = [{"dataset_name": "train"}]


@pytest.mark.parametrize(
    ("text", "datasets", "names"),
    [
        ("", [], "m-a m-b m-c m-d"),
        ("name = 'a'", [], "m-a"),
        ('attributes.name IN ("a", "c")', [], "m-a m-c"),
        ("model_id LIKE 'm-%'", [], "m-a m-b m-c m-d"),
        ("status = 2", [], "m-b m-c"),
        ("status != '2'", [], "m-a m-d"),
        ("status IN ('1', '3')", [], "m-a m-d"),
        ("status ILIKE '2%'", [], "m-b m-c"),
        ("status = 'READY'", [], ""),
        ("source_run_id = 'run1'", [], "m-a"),
        ("source_run_id != 'run2'", [], "m-a"),
        ("model_type = ''", [], ""),
        ("creation_timestamp >= 20", [], "m-b m-c"),
        ("attributes.creation_time < 10.5", [], "m-a m-d"),
        ("last_updated_time != 20", [], "m-a m-d"),
        ("params.lr = 0.1", [], "m-a"),
        ("params.lr != '0.1'", [], "m-b"),
        ("params.lr IN ('0.1', '1')", [], "m-a m-b"),
        ("tags.k NOT IN ('x')", [], "m-b"),
        ("metrics.acc > 0.8", [], "m-a"),
        ("metrics.acc != 0.6", [], "m-a m-c"),
        ("metrics.acc > 0.5 AND metrics.acc < 0.65", [], "m-a m-b"),
        ("metrics.acc > 0.5", TRAIN, "m-a m-b"),
        ("metrics.acc < 0.8", TRAIN, "m-b"),
        ("metrics.acc > 0.5", [{"dataset_name": "train", "dataset_digest": "d3"}], "m-b"),
        (
            "metrics.acc > 0",
            [{"dataset_name": "test"}, {"dataset_name": "train", "dataset_digest": "d3"}],
            "m-a m-b",
        ),
        ("name != 'a'", TRAIN, "m-b"),
        ("", TRAIN, "m-a m-b"),
    ],
)
def test_logged_models_filters(
    logged: Transaction, text: str, datasets: list[dict[str, object]], names: str
) -> None:
    query = sql.compile_logged_models(text, [{"field_name": "name"}], None, datasets)
    assert found(logged, query) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ([], "m-b m-c m-a m-d"),
        ([{"field_name": "name", "ascending": False}], "m-d m-c m-b m-a"),
        ([{"field_name": "creation_time", "ascending": True}], "m-d m-a m-b m-c"),
        ([{"field_name": "status"}, {"field_name": "model_id", "ascending": False}], "m-a m-c m-b m-d"),
        ([{"field_name": "source_run_id", "ascending": False}], "m-a m-b m-c m-d"),
        ([{"field_name": "metrics.acc"}], "m-b m-a m-c m-d"),
        ([{"field_name": "metrics.acc", "ascending": False}], "m-a m-b m-c m-d"),
        ([{"field_name": "metrics.`acc`", "ascending": False, "dataset_name": "train"}], "m-a m-b m-c m-d"),
        ([{"field_name": "metrics.acc", "dataset_name": "train", "dataset_digest": "d3"}], "m-b m-c m-a m-d"),
        (
            [
                {"field_name": "metrics.acc", "dataset_name": "x"},
                {"field_name": "metrics.acc", "ascending": None},
            ],
            "m-b m-a m-c m-d",
        ),
    ],
)
def test_logged_models_order(logged: Transaction, order: list[dict[str, object]], names: str) -> None:
    assert found(logged, sql.compile_logged_models(None, order, None)) == names


@pytest.mark.parametrize(
    ("resource", "text", "message"),
    [
        (
            "runs",
            "metrics.acc > 'x'",
            "position 15: found \"'x'\", but metrics.acc is compared with a number",
        ),
        (
            "runs",
            "metrics.acc LIKE '1'",
            "position 13: metrics.acc cannot be compared with LIKE; possible are =, !=, >",
        ),
        ("runs", "metrics.acc IS NULL", "position 13: metrics.acc cannot be compared with IS NULL"),
        (
            "runs",
            "params.lr > '0.1'",
            "position 11: params.lr cannot be compared with >; possible are =, !=, LIKE,",
        ),
        ("runs", "params.lr = 0.1", "position 13: found '0.1', but params.lr is compared with a quoted text"),
        ("runs", "params.lr IN ('a')", "params.lr cannot be compared with IN"),
        ("runs", "tags.a IN ('a')", "tags.a cannot be compared with IN"),
        (
            "runs",
            "nope.x = 'y'",
            "position 1: unknown entity 'nope' in a search of runs; valid are attribute, metric,",
        ),
        (
            "runs",
            "attributes.flavour = 'x'",
            "position 1: unknown attribute 'flavour'; runs can be filtered by run_id,",
        ),
        ("runs", "acc > 1", "Created, end_time, and with a prefix metrics.<key>, params.<key>, tags.<key>"),
        ("runs", "lifecycle_stage = 'active'", "unknown attribute 'lifecycle_stage'"),
        ("runs", "experiment_id = '1'", "unknown attribute 'experiment_id'"),
        ("runs", "Metrics.acc > 1", "unknown entity 'Metrics'"),
        ("runs", "start_time = 'abc'", "start_time is compared with a number"),
        ("runs", "start_time LIKE '1'", "start_time cannot be compared with LIKE"),
        ("runs", "start_time IN ('1')", "start_time cannot be compared with IN"),
        (
            "runs",
            "run_name IN ('a', 'b')",
            "run_name cannot be compared with IN; possible are =, !=, LIKE, ILIKE",
        ),
        ("runs", "status IS NULL", "status cannot be compared with IS NULL"),
        ("runs", "status > 'a'", "status cannot be compared with >"),
        (
            "runs",
            "dataset.flavour = 'x'",
            "unknown dataset 'flavour'; runs can be filtered by name, digest, context",
        ),
        ("runs", "dataset.name IS NULL", "dataset.name cannot be compared with IS NULL"),
        ("runs", f"run_name LIKE '{'x' * 8001}'", "the pattern has 8001 characters, at most 8000"),
        ("experiments", "tags.a > '1'", "tags.a cannot be compared with >"),
        ("experiments", "name IN ('a')", "name cannot be compared with IN"),
        (
            "experiments",
            "attributes.name = 'a'",
            "unknown entity 'attributes' in a search of experiments; valid are",
        ),
        ("experiments", "experiment_id = 1", "experiment_id is compared with a quoted integer"),
        ("experiments", "experiment_id = 'x'", "experiment_id is compared with a quoted integer"),
        ("experiments", "experiment_id = '1.5'", "experiment_id is compared with a quoted integer"),
        (
            "experiments",
            "experiment_id IN ('1', 'x')",
            "found a list, but experiment_id is compared with a quoted",
        ),
        ("experiments", "experiment_id > '1'", "experiment_id cannot be compared with >"),
        ("experiments", "creation_time > 1.5", "found '1.5', but creation_time is compared with an integer"),
        ("experiments", "creation_time > '12'", "creation_time is compared with an integer"),
        ("registered models", "name > 'a'", "name cannot be compared with >"),
        ("registered models", "tags.x IS NULL", "tags.x cannot be compared with IS NULL"),
        ("registered models", "tags.x > '1'", "tags.x cannot be compared with >"),
        ("registered models", "version_number = 1", "unknown attribute 'version_number'"),
        ("registered models", "name = 1", "name is compared with a quoted text"),
        ("registered models", "tags.`mlflow.prompt.is_prompt` > 'a'", "cannot be compared with >"),
        (
            "model versions",
            "version_number = 'x'",
            "version_number is compared with an integer, quoted or not",
        ),
        (
            "model versions",
            "version_number = 1.5",
            "version_number is compared with an integer, quoted or not",
        ),
        ("model versions", "version_number LIKE '1'", "version_number cannot be compared with LIKE"),
        ("model versions", "version_number IN ('1')", "version_number cannot be compared with IN"),
        ("model versions", "run_id > 'x'", "run_id cannot be compared with >"),
        ("model versions", "source_path IN ('a')", "source_path cannot be compared with IN"),
        ("model versions", "current_stage = 'x'", "unknown attribute 'current_stage'"),
        (
            "logged models",
            "metric.acc > 1",
            "unknown entity 'metric' in a search of logged models; valid are attributes,",
        ),
        ("logged models", "tag.a = 'x'", "unknown entity 'tag'"),
        (
            "logged models",
            "flavour = 'x'",
            "unknown attribute 'flavour'; logged models can be filtered by name, model_id",
        ),
        ("logged models", "tags.a IS NULL", "tags.a cannot be compared with IS NULL"),
        ("logged models", "creation_time LIKE '1'", "creation_time cannot be compared with LIKE"),
        ("logged models", "creation_time > '1'", "creation_time is compared with a number"),
        ("logged models", "metrics.acc IN ('1')", "metrics.acc cannot be compared with IN"),
    ],
)
def test_refused_filters(resource: str, text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(message)) as caught:
        search_tables.COMPILERS[resource](text, [], None)
    assert str(caught.value).startswith("Invalid filter at position ")


@pytest.mark.parametrize(
    ("resource", "order", "message"),
    [
        ("runs", ["what.is ASC"], "unknown entity 'what'"),
        ("runs", ["dataset.name"], "position 1: runs cannot be ordered by a dataset"),
        ("runs", ["`run name`"], "unknown attribute 'run name'; runs can be ordered by run_id, run_name"),
        ("runs", ["flavour"], "unknown attribute 'flavour'"),
        (
            "runs",
            ["metrics.acc", "metric.acc DESC"],
            "'metric.acc' orders by a field that is already in the list",
        ),
        ("runs", ["start_time", "Created"], "'Created' orders by a field that is already in the list"),
        ("runs", [f"metrics.m{i}" for i in range(21)], "it has 21 fields; at most 20 are possible"),
        ("experiments", ["tags.kind"], "experiments cannot be ordered by a tag"),
        (
            "registered models",
            ["creation_timestamp ASC"],
            "registered models can be ordered by name, timestamp",
        ),
        ("registered models", ["timestamp", "last_updated_timestamp"], "already in the list"),
        ("model versions", ["flavour"], "can be ordered by name, version_number"),
        ("logged models", [{}], "each item needs a field_name"),
        ("logged models", [{"field_name": "flavour"}], "unknown attribute 'flavour'"),
        (
            "logged models",
            [{"field_name": "params.a"}],
            "'params.a' is neither an attribute nor metrics.<key>",
        ),
        ("logged models", [{"field_name": "metrics."}], "'metrics.' is neither"),
        ("logged models", [{"field_name": "metrics.a\0"}], "is neither"),
        (
            "logged models",
            [{"field_name": "name", "ascending": "no"}],
            "ascending of 'name' must be true or false",
        ),
        (
            "logged models",
            [{"field_name": "metrics.a", "dataset_digest": "d"}],
            "dataset_digest but no dataset_name",
        ),
        ("logged models", [{"field_name": "metrics.a", "dataset_name": 1}], "Invalid dataset_name '1'"),
        ("logged models", [{"field_name": "name"}] * 2, "already in the list"),
    ],
)
def test_refused_orders(resource: str, order: list[Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        search_tables.COMPILERS[resource](None, order, None)


def test_datasets_of_logged_models_need_a_name() -> None:
    with pytest.raises(InvalidParameterError, match="each needs a dataset_name"):
        sql.compile_logged_models(None, [], None, [{"dataset_digest": "d"}])


def test_user_text_never_enters_the_sql() -> None:
    query = sql.compile_runs(
        "tags.`evil key` = 'evil value' AND run_id IN ('evil id') AND params.evil LIKE 'evil%' AND metrics.evil > 66",
        ["metrics.`evil metric`"],
        None,
    )
    text = f"{query.joins} {query.where} {query.order_by} {query.keys}"
    assert "evil" not in text
    assert "66" not in text
    assert set(re.findall(r":(\w+)", text)) == set(query.params)
