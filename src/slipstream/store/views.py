"""What SQL users see of the database: plain tables with the wire's names, read row by row in one snapshot.

Only what is here can be queried: no secrets of webhooks, no internal ids.
"""

from collections.abc import Iterator, Sequence
from typing import LiteralString, NamedTuple

from slipstream.db.base import Row, Transaction
from slipstream.rules import names
from slipstream.rules.series import is_pattern
from slipstream.store.filters import ViewFilter

_PAGE = 10_000


class View(NamedTuple):
    columns: LiteralString
    source: LiteralString
    place: tuple[LiteralString, ...]
    """Columns that number the rows: pages begin after them."""
    start: tuple[int | str, ...]
    run: LiteralString | None = None
    """The column that is filtered where runs are named."""
    experiment: LiteralString | None = None
    """The one where experiments are."""
    key: LiteralString | None = None


def _of_run(columns: LiteralString, table: LiteralString, *, key: LiteralString | None = None) -> View:
    """Return a view of a table that is numbered by run and key."""
    return View(
        f"r.run_id, {columns}",
        f"{table} t JOIN runs r ON r.id = t.run AND r.lifecycle_stage <> 'removing'",
        ("t.run", "t.key"),
        (-1, ""),
        "t.run",
        None,
        key,
    )


def _of_model(columns: LiteralString, table: LiteralString) -> View:
    return View(
        f"l.model_id, {columns}",
        f"{table} t JOIN logged_models l ON l.id = t.model AND l.lifecycle_stage <> 'removing'",
        ("t.model", "t.key"),
        (-1, ""),
        None,
        "l.experiment",
    )


# The order of the columns is that of `bulk/tables.py`.
VIEWS: dict[str, View] = {
    "experiments": View(
        "e.id, e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, e.last_update_time",
        "(SELECT * FROM experiments WHERE lifecycle_stage <> 'removing') e",
        ("e.id",),
        (-1,),
        None,
        "e.id",
    ),
    "experiment_tags": View(
        "t.experiment, t.key, t.value",
        "experiment_tags t JOIN experiments e ON e.id = t.experiment AND e.lifecycle_stage <> 'removing'",
        ("t.experiment", "t.key"),
        (-1, ""),
        None,
        "t.experiment",
    ),
    "runs": View(
        "r.run_id, r.experiment, r.run_name, r.user_id, r.status, r.start_time, r.end_time, r.lifecycle_stage, "
        "r.artifact_uri",
        "(SELECT * FROM runs WHERE lifecycle_stage <> 'removing') r",
        ("r.id",),
        (-1,),
        "r.id",
    ),
    "params": _of_run("t.key, t.value", "params"),
    "tags": _of_run("t.key, t.value", "run_tags"),
    "latest_metrics": _of_run(
        "t.key, CASE WHEN t.is_nan = 1 THEN NULL ELSE t.value END, t.timestamp, t.step", "series", key="t.key"
    ),
    "datasets": View(
        "r.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, x.value",
        "run_datasets t JOIN runs r ON r.id = t.run AND r.lifecycle_stage <> 'removing' JOIN datasets d ON d.id = t.dataset LEFT JOIN run_dataset_tags x "
        "ON x.run = t.run AND x.dataset = t.dataset AND x.key = 'mlflow.data.context'",
        ("t.run", "t.dataset"),
        (-1, -1),
        "t.run",
    ),
    "logged_models": View(
        "l.model_id, l.experiment, l.name, l.model_type, l.source_run_id, CASE l.status WHEN 1 THEN 'PENDING' "
        "WHEN 2 THEN 'READY' WHEN 3 THEN 'FAILED' ELSE 'UNKNOWN' END, l.lifecycle_stage, l.artifact_location, "
        "l.creation_timestamp, l.last_updated_timestamp",
        "(SELECT * FROM logged_models WHERE lifecycle_stage <> 'removing') l",
        ("l.id",),
        (-1,),
        None,
        "l.experiment",
    ),
    "logged_model_params": _of_model("t.key, t.value", "logged_model_params"),
    "logged_model_tags": _of_model("t.key, t.value", "logged_model_tags"),
    "registered_models": View(
        "m.name, m.description, m.creation_timestamp, m.last_updated_timestamp",
        "registered_models m",
        ("m.id",),
        (-1,),
    ),
    "registered_model_tags": View(
        "m.name, t.key, t.value",
        "registered_model_tags t JOIN registered_models m ON m.id = t.model",
        ("t.model", "t.key"),
        (-1, ""),
    ),
    "model_versions": View(
        "m.name, v.version, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description, v.source, "
        "v.run_id, v.run_link, v.model_id, v.status",
        "(SELECT * FROM model_versions WHERE lifecycle_stage = 'active') v "
        "JOIN registered_models m ON m.id = v.model",
        ("v.model", "v.version"),
        (-1, -1),
    ),
    "model_version_tags": View(
        "m.name, t.version, t.key, t.value",
        "model_version_tags t JOIN registered_models m ON m.id = t.model JOIN model_versions v "
        "ON v.model = t.model AND v.version = t.version AND v.lifecycle_stage = 'active'",
        ("t.model", "t.version", "t.key"),
        (-1, -1, ""),
    ),
    "model_aliases": View(
        "m.name, t.alias, t.version",
        "model_aliases t JOIN registered_models m ON m.id = t.model",
        ("t.model", "t.alias"),
        (-1, ""),
    ),
}

RUNS_NAMED: LiteralString = "IN (SELECT id FROM runs WHERE run_id IN :run_ids__in)"
RUNS_OF_EXPERIMENTS: LiteralString = "IN (SELECT id FROM runs WHERE experiment IN :experiments__in)"
SELECT_RUN_IDS: LiteralString = """
    SELECT id, run_id FROM runs
    WHERE id > :after AND experiment IN :experiments__in AND lifecycle_stage <> 'removing' ORDER BY id LIMIT :limit_
"""
SELECT_ALL_RUN_IDS: LiteralString = """
    SELECT id, run_id FROM runs WHERE id > :after AND lifecycle_stage <> 'removing' ORDER BY id LIMIT :limit_
"""


class ViewsPart:
    tx: Transaction

    def read_view(self, name: str, wanted: ViewFilter) -> Iterator[list[Row]]:
        """Return the rows of a view, page by page."""
        view = VIEWS[name]
        params: dict[str, object] = {"limit_": _PAGE}
        places: LiteralString = ", ".join(view.place)
        marks: LiteralString = _MARKS[len(view.place)]
        # One column is no row, and is compared as itself.
        where: LiteralString = f"({places}) > ({marks})" if len(view.place) > 1 else f"{places} > {marks}"
        if view.run is not None and wanted.run_ids is not None:
            where = f"{where} AND {view.run} {RUNS_NAMED}"
            params["run_ids__in"] = list(wanted.run_ids) or [""]
        if wanted.experiment_ids is not None and (view.experiment or view.run) is not None:
            params["experiments__in"] = _numbers(wanted.experiment_ids)
            if view.experiment is not None:
                where = f"{where} AND {view.experiment} IN :experiments__in"
            elif view.run is not None:
                where = f"{where} AND {view.run} {RUNS_OF_EXPERIMENTS}"
        if view.key is not None and wanted.keys is not None and not any(map(is_pattern, wanted.keys)):
            where = f"{where} AND {view.key} IN :keys__in"
            params["keys__in"] = list(wanted.keys) or [""]
        sql: LiteralString = f"SELECT {places}, {view.columns} FROM {view.source} WHERE {where} ORDER BY {places} LIMIT :limit_"
        width = len(view.place)
        after: Sequence[object] = view.start
        while True:
            found = self.tx.fetch_all(sql, **params, **{f"p{i}": value for i, value in enumerate(after)})
            if found:
                yield [row[width:] for row in found]
            if len(found) < _PAGE:
                return
            after = found[-1][:width]

    def read_run_ids(self, wanted: ViewFilter) -> Iterator[list[str]]:
        """Return the ids of the runs that a filter means, page by page; unknown ones are left out."""
        if wanted.run_ids is not None:
            for rows in self.read_view("runs", wanted):
                yield [row[0] for row in rows]
            return
        after = -1
        while True:
            if wanted.experiment_ids is None:
                found = self.tx.fetch_all(SELECT_ALL_RUN_IDS, after=after, limit_=_PAGE)
            else:
                numbers = _numbers(wanted.experiment_ids)
                found = self.tx.fetch_all(SELECT_RUN_IDS, after=after, experiments__in=numbers, limit_=_PAGE)
            if found:
                yield [row[1] for row in found]
            if len(found) < _PAGE:
                return
            after = found[-1][0]


_MARKS: dict[int, LiteralString] = {1: ":p0", 2: ":p0, :p1", 3: ":p0, :p1, :p2"}


def _numbers(experiment_ids: Sequence[str]) -> list[int]:
    return [names.experiment_number(each, "experiment_ids") for each in experiment_ids] or [-1]
