"""Read fields of runs from the database, for the columns of an index."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, LiteralString, TypeAlias

from slipstream.db.base import Transaction
from slipstream.store.run_index.columns import MISSING, NAN, PRESENT, NumberColumn, TextColumn
from slipstream.store.run_index.conditions import Column, ColumnName

SELECT_RUN_IDS: LiteralString = "SELECT id FROM runs WHERE experiment = :experiment ORDER BY id"
# The experiment is not in the condition: SQLite would look all of its runs up, for the sake of its index.
SELECT_BASE: LiteralString = (
    "SELECT id, experiment, run_id, start_time, lifecycle_stage FROM runs WHERE id IN :runs__in"
)
_ATTRIBUTES: dict[str, LiteralString] = {
    "run_id": "SELECT id, run_id FROM runs WHERE id IN :runs__in",
    "start_time": "SELECT id, start_time FROM runs WHERE id IN :runs__in",
    "lifecycle_stage": "SELECT id, lifecycle_stage FROM runs WHERE id IN :runs__in",
    "run_name": "SELECT id, run_name FROM runs WHERE id IN :runs__in",
    "user_id": "SELECT id, user_id FROM runs WHERE id IN :runs__in",
    "status": "SELECT id, status FROM runs WHERE id IN :runs__in",
    "artifact_uri": "SELECT id, artifact_uri FROM runs WHERE id IN :runs__in",
    "end_time": "SELECT id, end_time FROM runs WHERE id IN :runs__in AND end_time IS NOT NULL",
}
_KEYED: dict[str, LiteralString] = {
    "metric": "SELECT run, key, value, is_nan FROM series WHERE run IN :runs__in AND key IN :keys__in",
    "parameter": "SELECT run, key, value FROM params WHERE run IN :runs__in AND key IN :keys__in",
    "tag": "SELECT run, key, value FROM run_tags WHERE run IN :runs__in AND key IN :keys__in",
}
_DATASETS: dict[str, LiteralString] = {
    "name": (
        "SELECT x.run, d.name FROM run_datasets x JOIN datasets d ON d.id = x.dataset WHERE x.run IN :runs__in"
    ),
    "digest": (
        "SELECT x.run, d.digest FROM run_datasets x JOIN datasets d ON d.id = x.dataset"
        " WHERE x.run IN :runs__in"
    ),
    "value": (
        "SELECT run, value FROM run_dataset_tags WHERE run IN :runs__in AND key = 'mlflow.data.context'"
    ),
}

# All keys of a run as one text, in order: runs of one program have the same, so a column of them takes a byte or two a run.
# A key holds no line feed. The order is that of the inner SELECT: within the aggregate it would be sorted once more.
_KEYS: dict[str, LiteralString] = {
    "metric": (
        "SELECT run, string_agg(key, '\n') FROM"
        " (SELECT run, key FROM series WHERE run IN :runs__in ORDER BY run, key) k GROUP BY run"
    ),
    "parameter": (
        "SELECT run, string_agg(key, '\n') FROM"
        " (SELECT run, key FROM params WHERE run IN :runs__in ORDER BY run, key) k GROUP BY run"
    ),
    "tag": (
        "SELECT run, string_agg(key, '\n') FROM"
        " (SELECT run, key FROM run_tags WHERE run IN :runs__in ORDER BY run, key) k GROUP BY run"
    ),
}
KEYS = "keys"
"""The group of columns that hold which keys a run has: `("keys", "metric")`."""

RUN_ID: ColumnName = ("attribute", "run_id")
START_TIME: ColumnName = ("attribute", "start_time")
STAGE: ColumnName = ("attribute", "lifecycle_stage")
END_TIME: ColumnName = ("attribute", "end_time")
BASE: tuple[ColumnName, ...] = (RUN_ID, START_TIME, STAGE)
"""Columns that every table has."""

Values: TypeAlias = dict[int, Any]
"""By internal id of the run: a text, several, or a number and its rank; runs without are left out."""


def is_number(name: ColumnName) -> bool:
    return name[0] == "metric" or name in (START_TIME, END_TIME)


def read_columns(
    tx: Transaction, runs: Sequence[int], names: Iterable[ColumnName]
) -> dict[ColumnName, Values]:
    """Return fields of some runs."""
    found: dict[ColumnName, Values] = {}
    keys: dict[str, list[str]] = {}
    for name in names:
        group, key = name
        if group in _KEYED:
            keys.setdefault(group, []).append(key)
            found[name] = {}
        elif group == KEYS:
            found[name] = dict(tx.fetch_all(_KEYS[key], runs__in=list(runs)))  # pyright: ignore[reportArgumentType]
        elif group == "dataset":
            found[name] = _datasets(tx, runs, _DATASETS[_dataset_field(key)])
        else:
            rows = tx.fetch_all(_ATTRIBUTES[key], runs__in=list(runs))
            found[name] = (
                {run: (value, PRESENT) for run, value in rows} if is_number(name) else dict(rows)  # pyright: ignore[reportArgumentType]
            )
    for group, wanted in keys.items():
        rows = tx.fetch_all(_KEYED[group], runs__in=list(runs), keys__in=wanted)
        if group == "metric":
            for run, key, value, is_nan in rows:
                found[group, key][run] = (value, NAN if is_nan else PRESENT)
        else:
            for run, key, value in rows:
                found[group, key][run] = value
    return found


def _dataset_field(key: str) -> str:
    return "value" if key == "context" else key


def _datasets(tx: Transaction, runs: Sequence[int], sql: LiteralString) -> Values:
    several: dict[int, set[str]] = {}
    for run, value in tx.fetch_all(sql, runs__in=list(runs)):
        several.setdefault(run, set()).add(value)
    return {run: tuple(sorted(values)) for run, values in several.items()}


def new_column(name: ColumnName, chunks: Iterable[tuple[Sequence[int], Values]], count: int) -> Column:
    """Make a column of `count` slots, of the values of all runs of a table, some runs at a time."""
    if not is_number(name):
        return TextColumn(chain.from_iterable(map(values.get, runs) for runs, values in chunks))
    column = NumberColumn("d" if name[0] == "metric" else "q", count)
    slot = 0
    for runs, values in chunks:
        for run in runs:
            value = values.get(run)
            if value is not None:
                column.set(slot, *value)
            slot += 1
    return column


def setter(column: Column) -> Callable[[int, Any], None]:
    """Return the function that writes a value as `Values` holds it, or `None`, to a slot, which may be the next one."""

    def write_text(slot: int, value: Any) -> None:
        assert isinstance(column, TextColumn)
        if slot == len(column.codes):
            column.append(value)
        else:
            column[slot] = value

    def write_number(slot: int, value: Any) -> None:
        assert isinstance(column, NumberColumn)
        number, rank = value or (0, MISSING)
        if slot == len(column.ranks):
            column.append(number, rank)
        else:
            column.set(slot, number, rank)

    return write_text if isinstance(column, TextColumn) else write_number
