"""The tables of `slipstream sql`: names, columns and what they mean. Their rows come from `store/views.py`."""

from typing import Literal, NamedTuple

Kind = Literal["VARCHAR", "BIGINT", "DOUBLE"]


class Column(NamedTuple):
    name: str
    kind: Kind
    about: str


class Table(NamedTuple):
    about: str
    columns: tuple[Column, ...]


def _text(name: str, about: str) -> Column:
    return Column(name, "VARCHAR", about)


def _number(name: str, about: str) -> Column:
    return Column(name, "BIGINT", about)


_RUN = _text("run_id", "id of the run")
_EXPERIMENT = _text("experiment_id", "id of the experiment, a text as everywhere")
_KEY = _text("key", "name")
_VALUE = _text("value", "text")
_MODEL = _text("name", "name of the registered model")
_VERSION = _number("version", "number of the version")
_STAGE = _text("lifecycle_stage", "`active` or `deleted`")
_CREATED = _number("creation_timestamp", "Unix milliseconds")
_UPDATED = _number("last_updated_timestamp", "Unix milliseconds")
_STEP = _number("step", "where in the training")
_TIME = _number("timestamp", "Unix milliseconds")
_METRIC = Column("value", "DOUBLE", "exact; may be NaN or infinite")

HISTORY = "metric_history"
TABLES: dict[str, Table] = {
    "experiments": Table(
        "experiments, deleted ones too",
        (
            _EXPERIMENT,
            _text("name", "name"),
            _text("artifact_location", "where its runs keep files"),
            _STAGE,
            _number("creation_time", "Unix milliseconds"),
            _number("last_update_time", "Unix milliseconds"),
        ),
    ),
    "experiment_tags": Table("tags of experiments", (_EXPERIMENT, _KEY, _VALUE)),
    "runs": Table(
        "runs, deleted ones too",
        (
            _RUN,
            _EXPERIMENT,
            _text("run_name", "name"),
            _text("user_id", "who started it"),
            _text("status", "`RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`"),
            _number("start_time", "Unix milliseconds"),
            _number("end_time", "Unix milliseconds; NULL while it runs"),
            _STAGE,
            _text("artifact_uri", "where its files are"),
        ),
    ),
    "params": Table("params of runs", (_RUN, _KEY, _VALUE)),
    "tags": Table("tags of runs", (_RUN, _KEY, _VALUE)),
    "latest_metrics": Table("the newest point of each metric of a run", (_RUN, _KEY, _METRIC, _TIME, _STEP)),
    HISTORY: Table("every point of every metric", (_RUN, _KEY, _STEP, _TIME, _METRIC)),
    "datasets": Table(
        "data sets that runs read, a row for each run that did",
        (
            _RUN,
            _text("name", "name"),
            _text("digest", "checksum"),
            _text("source_type", "kind of the source"),
            _text("source", "JSON"),
            _text("schema", "JSON, or NULL"),
            _text("profile", "JSON, or NULL"),
            _text("context", "what it was read for, such as `training`; or NULL"),
        ),
    ),
    "logged_models": Table(
        "models of `log_model`, deleted ones too",
        (
            _text("model_id", "id"),
            _EXPERIMENT,
            _text("name", "name"),
            _text("model_type", "kind, or NULL"),
            _text("source_run_id", "run that made it, or NULL"),
            _text("status", "`PENDING`, `READY` or `FAILED`"),
            _STAGE,
            _text("artifact_location", "where its files are"),
            _CREATED,
            _UPDATED,
        ),
    ),
    "logged_model_params": Table("params of logged models", (_text("model_id", "id"), _KEY, _VALUE)),
    "logged_model_tags": Table("tags of logged models", (_text("model_id", "id"), _KEY, _VALUE)),
    "registered_models": Table(
        "registered models", (_MODEL, _text("description", "text, or NULL"), _CREATED, _UPDATED)
    ),
    "registered_model_tags": Table("tags of registered models", (_MODEL, _KEY, _VALUE)),
    "model_versions": Table(
        "versions of registered models",
        (
            _MODEL,
            _VERSION,
            _CREATED,
            _UPDATED,
            _text("current_stage", "stage"),
            _text("description", "text, or NULL"),
            _text("source", "where it came from"),
            _text("run_id", "run that made it, or NULL"),
            _text("run_link", "link to it, or NULL"),
            _text("model_id", "logged model, or NULL"),
            _text("status", "`READY` and others"),
        ),
    ),
    "model_version_tags": Table("tags of versions", (_MODEL, _VERSION, _KEY, _VALUE)),
    "model_aliases": Table("aliases of versions", (_MODEL, _text("alias", "name"), _VERSION)),
}
