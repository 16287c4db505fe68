"""Read fields of runs from the database, for the columns of an index.

Some runs are read by their ids; all of a table in pieces whose rows come in the order of the slots, so that a piece is
copied and not looked up run by run.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, LiteralString, TypeAlias

from slipstream.db.base import Row, Transaction
from slipstream.store.run_index.columns import MISSING, NAN, PRESENT, NumberColumn, TextColumn
from slipstream.store.run_index.conditions import Column, ColumnName

SELECT_RUN_IDS: LiteralString = "SELECT id FROM runs WHERE experiment = :experiment ORDER BY id"
# The experiment is not in the condition: SQLite would look all of its runs up, for the sake of its index.
SELECT_BASE: LiteralString = (
    "SELECT id, experiment, run_id, start_time, lifecycle_stage FROM runs WHERE id IN :runs__in"
)
_BASE_BY_ID: LiteralString = "SELECT id, run_id, start_time, lifecycle_stage FROM runs WHERE id IN :runs__in"
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

# All runs of an experiment between two ids, one row each, in order. The plus keeps SQLite from its index of experiments: it
# would go through all of their runs for each piece, and sort them.
_PIECE_ATTRIBUTES: dict[str, LiteralString] = {
    "run_id": "SELECT r.id, r.run_id FROM runs r",
    "start_time": "SELECT r.id, r.start_time FROM runs r",
    "lifecycle_stage": "SELECT r.id, r.lifecycle_stage FROM runs r",
    "run_name": "SELECT r.id, r.run_name FROM runs r",
    "user_id": "SELECT r.id, r.user_id FROM runs r",
    "status": "SELECT r.id, r.status FROM runs r",
    "artifact_uri": "SELECT r.id, r.artifact_uri FROM runs r",
    "end_time": "SELECT r.id, r.end_time FROM runs r",
}
_PIECE_KEYED: dict[str, LiteralString] = {
    "metric": (
        "SELECT r.id, x.value, x.is_nan FROM runs r LEFT JOIN series x"
        " ON x.run = r.id AND x.key = :key AND x.run BETWEEN :first AND :last"
    ),
    "parameter": (
        "SELECT r.id, x.value FROM runs r LEFT JOIN params x"
        " ON x.run = r.id AND x.key = :key AND x.run BETWEEN :first AND :last"
    ),
    "tag": (
        "SELECT r.id, x.value FROM runs r LEFT JOIN run_tags x"
        " ON x.run = r.id AND x.key = :key AND x.run BETWEEN :first AND :last"
    ),
}
_BASE_PIECE: LiteralString = "SELECT r.id, r.run_id, r.start_time, r.lifecycle_stage FROM runs r"
_OF_PIECE: LiteralString = (
    " WHERE r.id BETWEEN :first AND :last AND +r.experiment = :experiment ORDER BY r.id"
)
_PIECE = 5_000
"""Runs to read at a time: what the database hands over takes much more room than what is kept of it."""
_SCATTERED = 4
"""So many times as many runs as wanted may lie between two ids; of more, the wanted ones are read by their ids."""

KEYS = "keys"
"""The group of columns that hold which keys a run has: `("keys", "metric")`."""

RUN_ID: ColumnName = ("attribute", "run_id")
START_TIME: ColumnName = ("attribute", "start_time")
STAGE: ColumnName = ("attribute", "lifecycle_stage")
END_TIME: ColumnName = ("attribute", "end_time")
BASE: tuple[ColumnName, ...] = (RUN_ID, START_TIME, STAGE)
"""Columns that every table has."""

_NOTHING = (0, MISSING)

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


def read_base(tx: Transaction, experiment: int, runs: Sequence[int]) -> dict[ColumnName, Column]:
    """Return the columns that every table has, of all runs of an experiment.

    Args:
        tx: where to read.
        experiment: its number.
        runs: internal ids of all of its runs, in order.
    """
    start_times = NumberColumn("q")
    run_ids, stages = TextColumn(), TextColumn()
    run_ids.begin()
    stages.begin()
    for piece in _pieces(runs):
        rows = _read_piece(tx, _BASE_PIECE, experiment, piece)
        if rows is None:
            found = {row[0]: row for row in tx.fetch_all(_BASE_BY_ID, runs__in=piece)}
            rows = [found.get(run, (run, None, None, None)) for run in piece]
        _, ids, times, of_stages = zip(*rows, strict=True)
        run_ids.extend(ids)
        stages.extend(of_stages)
        _extend_numbers(start_times, times)
    run_ids.end()
    stages.end()
    return {RUN_ID: run_ids, START_TIME: start_times, STAGE: stages}


def read_column(tx: Transaction, experiment: int, runs: Sequence[int], name: ColumnName) -> Column:
    """Return a column of all runs of an experiment; see `read_base`."""
    group, key = name
    sql = _PIECE_ATTRIBUTES[key] if group == "attribute" else _PIECE_KEYED.get(group)
    if is_number(name):
        numbers = NumberColumn("d" if group == "metric" else "q")
        for piece in _pieces(runs):
            rows = None if sql is None else _read_piece(tx, sql, experiment, piece, key=key)
            if rows is None:
                values = read_columns(tx, piece, [name])[name]
                found = [values.get(run, _NOTHING) for run in piece]
                if any(rank != PRESENT for _, rank in found):
                    for value in found:
                        numbers.append(*value)
                else:
                    numbers.extend([value for value, _ in found])
            elif group == "metric":
                _, values, nans = zip(*rows, strict=True)
                _extend_numbers(numbers, values, nans)
            else:
                _, values = zip(*rows, strict=True)
                _extend_numbers(numbers, values)
        return numbers
    texts = TextColumn()
    texts.begin()
    for piece in _pieces(runs):
        rows = None if sql is None else _read_piece(tx, sql, experiment, piece, key=key)
        if rows is None:
            texts.extend(list(map(read_columns(tx, piece, [name])[name].get, piece)))
        else:
            texts.extend([row[1] for row in rows])
    texts.end()
    return texts


def _read_piece(
    tx: Transaction, sql: LiteralString, experiment: int, piece: list[int], **params: object
) -> list[Row] | None:
    """Return one row for each run of a piece, in order; nothing if they lie too far apart."""
    first, last = piece[0], piece[-1]
    if last - first >= _SCATTERED * len(piece):
        return None
    if ":key" not in sql:
        params.pop("key", None)
    rows = tx.fetch_all(f"{sql}{_OF_PIECE}", first=first, last=last, experiment=experiment, **params)
    return rows if [row[0] for row in rows] == piece else None


def _extend_numbers(
    column: NumberColumn, values: Sequence[float | None], nans: Sequence[int | None] | None = None
) -> None:
    """Append numbers, of which some are missing; the second list says which of them stand for NaN."""
    if None not in values and (nans is None or not any(nans)):
        column.extend(values)  # pyright: ignore[reportArgumentType]
        return
    for value, nan in zip(values, nans or [0] * len(values), strict=True):
        if value is None:
            column.append(0, MISSING)
        else:
            column.append(value, NAN if nan else PRESENT)


def _pieces(runs: Sequence[int]) -> Iterable[list[int]]:
    for start in range(0, len(runs), _PIECE):
        yield list(runs[start : start + _PIECE])


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
