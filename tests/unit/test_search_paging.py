"""Pages show every row once, in order; tokens of other searches are refused; no text crashes the compiler."""

import base64
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import search_tables
from search_tables import Run
from slipstream.db.base import Connection, Transaction
from slipstream.errors import InvalidParameterError
from slipstream.search import sql

TEXTS = st.sampled_from(["", "a", "A", "ab", "b", "B%", "a_", "ä", "Ä", "z", "\U0001f600", "\uffff"])
NUMBERS = st.sampled_from([0.0, -0.0, 0.1, 1.0, -1.5, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan])
TIMES = st.sampled_from([0, 1, 2, 2**53 + 1, 2**63 - 1])
FIELDS = [
    "run_id",
    "run_name",
    "status",
    "user_id",
    "start_time",
    "end_time",
    "created",
    "metrics.m",
    "metrics.`n o`",
]
FIELDS += ["params.p", "tags.t"]


@pytest.fixture(scope="module", params=search_tables.DATABASES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    with search_tables.connection(request, tmp_path_factory) as connection:
        yield connection


@st.composite
def populations(draw: st.DrawFn) -> list[Run]:
    return [
        Run(
            run_id=f"r{number:02}",
            start_time=draw(TIMES),
            end_time=draw(st.none() | TIMES),
            name=draw(TEXTS),
            status=draw(st.sampled_from(["RUNNING", "FINISHED"])),
            user_id=draw(TEXTS),
            metrics=draw(st.dictionaries(st.sampled_from(["m", "n o"]), NUMBERS)),
            params=draw(st.dictionaries(st.sampled_from(["p", "q"]), TEXTS)),
            tags=draw(st.dictionaries(st.sampled_from(["t", "u"]), TEXTS)),
        )
        for number in draw(st.permutations(range(draw(st.integers(0, 8)))))
    ]


ORDERS = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.booleans()),
    max_size=4,
    unique_by=lambda term: "start_time" if term[0] == "created" else term[0],
)


def value(run: Run, field: str) -> Any:
    """Look a field up the way the language's description says; `None` where the run has none."""
    entity, _, key = field.rpartition(".")
    key = key.strip("`")
    if entity:
        return {"metrics": run.metrics, "params": run.params, "tags": run.tags}[entity].get(key)
    return {
        "run_id": run.run_id,
        "run_name": run.name,
        "status": run.status,
        "user_id": run.user_id,
        "start_time": run.start_time,
        "created": run.start_time,
        "end_time": run.end_time,
    }[key]


def sort(runs: list[Run], order: list[tuple[str, bool]]) -> list[str]:
    runs = sorted(runs, key=lambda run: (-run.start_time, run.run_id))
    if any(field in ("start_time", "created") for field, _ in order):
        runs = sorted(runs, key=lambda run: run.run_id)
    for field, descending in reversed(order):
        known = [
            run for run in runs if value(run, field) is not None and value(run, field) == value(run, field)
        ]
        nan = [
            run for run in runs if value(run, field) is not None and value(run, field) != value(run, field)
        ]
        missing = [run for run in runs if value(run, field) is None]
        known.sort(key=lambda run: value(run, field), reverse=descending)
        runs = known + nan + missing
    return [run.run_id for run in runs]


def read_pages(tx: Transaction, compile_page: Callable[[str | None], sql.Query], size: int) -> list[str]:
    names: list[str] = []
    token: str | None = None
    while True:
        page, token = search_tables.search(tx, compile_page(token), size)
        names += page
        if token is None:
            return names
        assert len(page) == size
        assert len(names) < 100, "the pages go round in circles"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(populations(), ORDERS, st.integers(1, 4))
def test_pages_show_each_run_once_in_order(
    connection: Connection, runs: list[Run], order: list[tuple[str, bool]], size: int
) -> None:
    terms = [f"{field} {'DESC' if descending else 'ASC'}" for field, descending in order]
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, runs)
        names = read_pages(tx, lambda token: sql.compile_runs(None, terms, token), size)
        assert names == sort(runs, order)


MATCHERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "LIKE": lambda a, b: _like(a, b),  # noqa: PLW0108  # defined below
    "ILIKE": lambda a, b: _like(a.lower(), b.lower()),
}


def _like(text: str, pattern: str) -> bool:
    regex = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch(regex, text, re.DOTALL) is not None


CLAUSES = st.one_of(
    st.tuples(
        st.sampled_from(["run_name", "user_id", "params.p", "tags.t"]),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        TEXTS | st.sampled_from(["%", "_", "%b%", "A%"]),
    ),
    st.tuples(
        st.sampled_from(["metrics.m", "metrics.`n o`", "start_time", "end_time"]),
        st.sampled_from(["=", "!=", ">", ">=", "<", "<="]),
        NUMBERS.filter(math.isfinite),
    ),
    st.tuples(
        st.sampled_from(["params.p", "tags.t"]), st.sampled_from(["IS NULL", "IS NOT NULL"]), st.none()
    ),
)


def holds(run: Run, clause: tuple[str, str, Any]) -> bool:
    field, comparator, operand = clause
    actual = value(run, field)
    if comparator.startswith("IS"):
        return (actual is None) == (comparator == "IS NULL")
    return actual is not None and MATCHERS[comparator](actual, operand)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(populations(), st.lists(CLAUSES, max_size=3), ORDERS)
def test_filters_find_what_their_description_says(
    connection: Connection,
    runs: list[Run],
    clauses: list[tuple[str, str, Any]],
    order: list[tuple[str, bool]],
) -> None:
    text = " AND ".join(
        f"{field} {comparator}"
        + ("" if operand is None else (f" '{operand}'" if isinstance(operand, str) else f" {operand!r}"))
        for field, comparator, operand in clauses
    )
    terms = [f"{field} {'DESC' if descending else 'ASC'}" for field, descending in order]
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, runs)
        names = read_pages(tx, lambda token: sql.compile_runs(text, terms, token), 3)
        assert names == sort([run for run in runs if all(holds(run, clause) for clause in clauses)], order)


def test_rows_that_come_and_go_do_not_shift_pages(connection: Connection) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, [Run(f"r{number}", number) for number in range(5)])
        first, token = search_tables.search(tx, sql.compile_runs(None, [], None), 2)
        tx.execute("DELETE FROM runs WHERE run_id = 'r3'")  # the row the token was made from
        tx.execute(
            "INSERT INTO runs (id, run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage,"
            " artifact_uri) SELECT 99, 'new', experiment, run_name, user_id, status, 9, end_time, lifecycle_stage,"
            " artifact_uri FROM runs WHERE run_id = 'r0'"
        )
        second, _ = search_tables.search(tx, sql.compile_runs(None, [], token), 2)
        assert (first, second) == (["r4", "r3"], ["r2", "r1"])


def test_other_resources_page_too(connection: Connection) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, [Run("run1")])
        for number in range(1, 8):
            search_tables.insert_model(tx, number, f"n{number}", number % 3)
            for version in range(1, 4):
                search_tables.insert_version(tx, number, version, number % 2)
            search_tables.insert_experiment(tx, number + 1, f"e{number}", number % 2)
            points = (search_tables.Point("a", [1.0, math.nan, 2.0][number % 3]),) if number % 4 else ()
            search_tables.insert_logged_model(tx, number, f"l{number}", number % 2, points=points)
        orders: dict[str, list[list[Any]]] = {
            "experiments": [[], ["creation_time"], ["name DESC"]],
            "registered models": [[], ["timestamp DESC"]],
            "model versions": [[], ["version_number"], ["last_updated_timestamp", "name DESC"]],
            "logged models": [
                [],
                [{"field_name": "metrics.a", "ascending": False}],
                [{"field_name": "model_type"}, {"field_name": "creation_time"}],
            ],
        }
        for resource, lists in orders.items():
            compiler = search_tables.COMPILERS[resource]
            for order in lists:
                everything, _ = search_tables.search(tx, compiler(None, order, None))
                pages = read_pages(tx, lambda token: compiler(None, order, token), 2)  # noqa: B023 -- used at once
                assert pages == everything
                assert len(set(pages)) == len(pages) >= 7


# -- tokens -------------------------------------------------------------------------------------------------


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def test_an_empty_token_is_the_first_page() -> None:
    assert sql.compile_runs(None, [], "") == sql.compile_runs(None, [], None)


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e300, 0.1, 5e-324, 3])
def test_numbers_survive_in_tokens(number: float) -> None:
    order = ["metrics.a"]
    token = sql.compile_runs(None, order, None).next_token([0, number, 2**63 - 1, "run"])
    assert re.fullmatch(r"[\w-]+", token)
    params = sql.compile_runs(None, order, token).params
    assert list(params.values()) == ["a", 0, float(number), 2**63 - 1, "run"]


def test_spelling_does_not_change_what_a_token_is_bound_to() -> None:
    token = sql.compile_runs(None, ["metric.a", "Created DESC"], None).next_token([0, 1.0, 5, "run"])
    sql.compile_runs("params.other = 'filter'", ["metrics.`a` asc", "attributes.start_time desc"], token)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (["metrics.b"], "it belongs to another query"),
        (["metrics.a DESC"], "it belongs to another query"),
        ([], "it belongs to another query"),
        (["params.a"], "it belongs to another query"),
        (["metrics.a", "run_name"], "it belongs to another query"),
    ],
)
def test_a_token_of_another_order_is_refused(order: list[str], reason: str) -> None:
    token = sql.compile_runs(None, ["metrics.a"], None).next_token([0, 1.0, 5, "run"])
    with pytest.raises(InvalidParameterError, match=f"Invalid page token: {reason}"):
        sql.compile_runs(None, order, token)


def test_a_token_of_another_resource_is_refused() -> None:
    token = sql.compile_experiments(None, ["name"], None).next_token(["a"])
    with pytest.raises(
        InvalidParameterError, match="Invalid page token: it does not come from a search of registered"
    ):
        sql.compile_registered_models(None, ["name"], token)


def test_a_token_of_logged_models_is_bound_to_the_whole_query() -> None:
    def compile_page(token: str | None, **changes: Any) -> sql.Query:
        same: dict[str, Any] = {"filter_string": "name = 'a'", "order_by": [{"field_name": "name"}]}
        same |= {"datasets": [{"dataset_name": "d"}], "experiment_ids": ["1"]}
        return sql.compile_logged_models(page_token=token, **(same | changes))

    token = compile_page(None).next_token(["a", 5, "m-a"])
    compile_page(token)
    changes: list[dict[str, Any]] = [
        {"filter_string": "name = 'b'"},
        {"order_by": []},
        {"datasets": []},
        {"experiment_ids": ["2"]},
    ]
    for change in changes:
        with pytest.raises(InvalidParameterError, match="Invalid page token: it belongs to another query"):
            compile_page(token, **change)


STAMP = sql.compile_runs(None, [], None).stamp


@pytest.mark.parametrize(
    "token",
    [
        "rubbish",
        "!!",
        "ü",
        "\ud800",
        "=",
        "e30",
        token_of({"offset": 3}),
        token_of(["runs", STAMP]),
        token_of(["runs", STAMP, [1]]),
        token_of(["runs", STAMP, ["x", "run"]]),
        token_of(["runs", STAMP, [1, 2]]),
        token_of(["runs", STAMP, [1.5, "run"]]),
        token_of(["runs", STAMP, [True, "run"]]),
        token_of(["runs", STAMP, [2**63, "run"]]),
        token_of(["runs", STAMP, [1, "a\0b"]]),
        token_of(["runs", STAMP, [1, None]]),
        token_of(["runs", STAMP, [1, "run", 1]]),
        base64.urlsafe_b64encode(b'["runs","' + STAMP.encode() + b'",[1,"\\ud800"]]').decode(),
        base64.urlsafe_b64encode(b'["runs","' + STAMP.encode() + b'",[1e400,"a"]]').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_rubbish_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidParameterError, match="^Invalid page token: "):
        sql.compile_runs(None, [], token)


@pytest.mark.parametrize("text", ["nan", "x", "", "1" * 10])
def test_forged_numbers_in_tokens(text: str) -> None:
    stamp = sql.compile_runs(None, ["metrics.a"], None).stamp
    token = token_of(["runs", stamp, [0, text, 5, "run"]])
    if text.isdigit():
        assert 1111111111.0 in sql.compile_runs(None, ["metrics.a"], token).params.values()
    else:
        with pytest.raises(InvalidParameterError, match="^Invalid page token: a value in it"):
            sql.compile_runs(None, ["metrics.a"], token)


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_no_token_crashes_the_compiler(token: str) -> None:
    if token:
        with pytest.raises(InvalidParameterError, match="^Invalid page token: "):
            sql.compile_runs(None, [], token)


# -- any text -----------------------------------------------------------------------------------------------

PIECES = (
    "metrics . acc params.lr tags.`a b` attributes run_id start_time name status dataset.name experiment_id version_number"
    " = != > >= < <= == <> LIKE ILIKE IN NOT IS NULL AND OR ( ) , ; ' \" ` 'x' \"y\" '1' 1 -2.5 1e999 9999999999999999999"
    " ASC DESC % \\ \x00 \x01 \ud800 ä --"
).split(" ")
FRAGMENTS = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text()
FIELD = st.sampled_from(
    "metrics.a params.a tags.a name run_id start_time status dataset.name experiment_id".split()
)
PLAUSIBLE = st.tuples(
    FIELD | st.just("version_number"),
    st.sampled_from(["=", "!=", ">", "<=", "LIKE", "ILIKE", "IN", "NOT IN"]),
    st.sampled_from(
        ["'x'", "'1'", "1", "-1e999", "('1', 'x')", "('99999999999999999999')", "'%\x01'", "'\\'"]
    ),
).map(" ".join)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(search_tables.COMPILERS)), FRAGMENTS | PLAUSIBLE, FRAGMENTS | FIELD)
@example("runs", "tags.a LIKE '" + "ä" * 8000 + "'", "tags.a")
@example("runs", "tags.a ILIKE '" + "%a" * 4000 + "'", "tags.a")
@example("runs", "tags.a LIKE '" + "\x01" * 8000 + "'", "tags.a")
@example("runs", " AND ".join(["tags.a LIKE 'x'"] * 100), "tags.a")
def test_any_text_is_searched_for_or_refused(
    connection: Connection, resource: str, filter_string: str, order: str
) -> None:
    items: list[Any] = [{"field_name": order}] if resource == "logged models" else [order]
    for order_by in ([], items):
        try:
            query = search_tables.COMPILERS[resource](filter_string, order_by, None)
        except InvalidParameterError:
            continue
        with search_tables.scratch(connection) as tx:
            search_tables.insert_runs(tx, [Run("run1", tags={"a": "x" * 100})])
            search_tables.search(tx, query)


def test_an_order_by_many_fields_runs(connection: Connection) -> None:
    order = [f"metrics.m{number}" for number in range(sql.MAX_ORDER_TERMS)]
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, [Run(f"r{number}", number) for number in range(3)])
        assert read_pages(tx, lambda token: sql.compile_runs(None, order, token), 1) == ["r2", "r1", "r0"]
