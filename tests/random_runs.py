"""Random runs, searches of them, and changes; for the tests that compare ways to search."""

import math
from typing import Any

from hypothesis import strategies as st

import search_tables
from search_tables import Run
from slipstream.db.base import Transaction
from slipstream.entities import ViewType

TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "b", "B%", "a_", "ä", "Ä", "ÄÖß", "z", "aXb", "\U0001f600", "\uffff"]
)
NUMBERS = st.sampled_from([0.0, -0.0, 0.1, 1.0, -1.5, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan])
TIMES = st.sampled_from([0, 1, 2, 2**53 + 1, 2**63 - 1])
FIELDS = ["run_id", "run_name", "status", "user_id", "start_time", "end_time", "created", "artifact_uri"]
FIELDS += ["metrics.m", "metrics.`n o`", "params.p", "tags.t"]
EXPERIMENT = 1


@st.composite
def runs(draw: st.DrawFn, number: int) -> Run:
    return Run(
        run_id=f"r{number:02}",
        start_time=draw(TIMES),
        end_time=draw(st.none() | TIMES),
        name=draw(TEXTS),
        status=draw(st.sampled_from(["RUNNING", "FINISHED"])),
        user_id=draw(TEXTS),
        metrics=draw(st.dictionaries(st.sampled_from(["m", "n o"]), NUMBERS)),
        params=draw(st.dictionaries(st.sampled_from(["p", "q"]), TEXTS)),
        tags=draw(st.dictionaries(st.sampled_from(["t", "u"]), TEXTS)),
        datasets=draw(
            st.dictionaries(st.tuples(TEXTS, st.sampled_from(["d1", "d2"])), st.none() | TEXTS, max_size=2)
        ),
    )


def populations() -> st.SearchStrategy[list[Run]]:
    return st.integers(0, 8).flatmap(lambda count: st.tuples(*map(runs, range(count)))).map(list)


@st.composite
def clauses(draw: st.DrawFn) -> str:
    text = (
        "'"
        + draw(
            TEXTS
            | st.sampled_from(
                [
                    "%",
                    "_",
                    "%a%",
                    "a%",
                    "%b",
                    "a_b",
                    "%_%",
                    "ä%",
                    "%b%",
                    "a%b",
                    "A%B%",
                    "_",
                    "__%",
                    "ab%",
                    "\U0001f600%",
                    "\uffff%",
                    "%\U0010ffff",
                    "r0%",
                    "RUNNING",
                    "r01",
                ]
            )
        )
        + "'"
    )
    equality = draw(st.sampled_from(["=", "!=", "LIKE", "ILIKE", "like"]))
    number = draw(
        st.sampled_from(
            [
                "0",
                "-0",
                "0.1",
                "1",
                "1e300",
                "1e400",
                "-1.5",
                "9007199254740993",
                "9223372036854775808",
                "1.5",
            ]
        )
    )
    compare = draw(st.sampled_from(["=", "!=", ">", ">=", "<", "<="]))
    member = draw(st.sampled_from(["IN", "NOT IN"])) + " ('" + draw(TEXTS) + "', 'r01', 'd1')"
    return draw(
        st.sampled_from(
            [
                f"metrics.m {compare} {number}",
                f"metrics.`n o` {compare} {number}",
                f"params.p {equality} {text}",
                f"tags.t {equality} {text}",
                "params.p IS NULL",
                "tags.t IS NOT NULL",
                f"run_id {equality} {text}",
                f"run_id {member}",
                f"run_name {equality} {text}",
                f"status {equality} {text}",
                f"user_id {equality} {text}",
                f"artifact_uri {equality} {text}",
                f"start_time {compare} {number}",
                f"end_time {compare} {number}",
                f"dataset.name {equality} {text}",
                f"dataset.digest {member}",
                f"dataset.context {equality} {text}",
                f"dataset.context {member}",
            ]
        )
    )


FILTERS = st.lists(clauses(), max_size=3).map(" AND ".join)
ORDERS = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.booleans()),
    max_size=3,
    unique_by=lambda term: "start_time" if term[0] == "created" else term[0],
).map(lambda terms: [f"{field} {'DESC' if down else 'ASC'}" for field, down in terms])
VIEWS = st.sampled_from(ViewType)
SEARCHES = st.tuples(FILTERS, ORDERS, VIEWS, st.integers(1, 5))
Search = tuple[str, list[str], ViewType, int]


def change(tx: Transaction, draw: Any, count: int) -> set[int]:
    """Change some runs in any way, and maybe add one; return which."""
    changed: set[int] = set()
    for number in draw.draw(st.sets(st.integers(1, count), max_size=3)) if count else ():
        run = draw.draw(runs(number))
        tx.execute(
            "UPDATE runs SET status = :status, end_time = :end_time, run_name = :name, lifecycle_stage = :stage WHERE id = :id",
            status=run.status,
            end_time=run.end_time,
            name=run.name,
            stage=draw.draw(st.sampled_from(["active", "deleted"])),
            id=number,
        )
        for sql in (
            "DELETE FROM params WHERE run = :run",
            "DELETE FROM run_tags WHERE run = :run",
            "DELETE FROM series WHERE run = :run",
            "DELETE FROM run_dataset_tags WHERE run = :run",
            "DELETE FROM run_datasets WHERE run = :run",
        ):
            tx.execute(sql, run=number)
        for key, value in run.params.items():
            search_tables.insert(tx, "params", run=number, key=key, value=value)
        for key, value in run.tags.items():
            search_tables.insert(tx, "run_tags", run=number, key=key, value=value)
        for key, value in run.metrics.items():
            nan = math.isnan(value)
            search_tables.insert(
                tx,
                "series",
                run=number,
                key=key,
                step=0,
                timestamp=0,
                value=0.0 if nan else value,
                is_nan=int(nan),
            )
        changed.add(number)
    return changed


def insert_run(tx: Transaction, number: int, run: Run, experiment: int) -> None:
    search_tables.insert(
        tx,
        "runs",
        id=number,
        run_id=run.run_id,
        experiment=experiment,
        run_name=run.name,
        user_id=run.user_id,
        status=run.status,
        start_time=run.start_time,
        end_time=run.end_time,
        lifecycle_stage="active",
        artifact_uri="s3://x",
    )
    for key, value in run.params.items():
        search_tables.insert(tx, "params", run=number, key=key, value=value)
