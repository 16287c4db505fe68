"""What each kind of thing can be filtered and ordered by: one line a field.

The aliases of the tables are fixed: runs `r`, experiments `e`, registered_models `m`,
model_versions `v` (with `m` joined), logged_models `l`. Inside a subquery rows are `x`.
`docs/reference/search.md` tells users the same.
"""

import enum
from collections.abc import Mapping
from typing import Literal, LiteralString, TypeAlias

import msgspec

KeyKind: TypeAlias = Literal["integer", "number", "text"]
"""How a value of an ordering travels in a page token."""


class Accepts(enum.Enum):
    """Which literals a field can be compared with, in words for messages."""

    TEXT = "a quoted text"
    TEXT_OR_NUMBER = "a quoted text or a number"
    NUMBER = "a number"
    MEASURE = "a number (compared as floating point)"
    INTEGER = "an integer"
    INTEGER_OR_TEXT = "an integer, quoted or not"
    QUOTED_INTEGER = "a quoted integer"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """Something to filter by: a column of the main table, or of rows that belong to it."""

    sql: LiteralString
    accepts: Accepts = Accepts.TEXT
    comparators: tuple[str, ...]
    rows: LiteralString = ""
    """`table x WHERE x.owner = main.id`; set where the value is not in the main table."""
    keyed: bool = False
    """Whether `rows` are further narrowed to the key that the user names."""
    is_nan: LiteralString = ""


class Sort(msgspec.Struct, frozen=True):
    """A column to order by."""

    sql: LiteralString
    kind: KeyKind
    nullable: bool = False
    unique: bool = False


class KeyedSort(msgspec.Struct, frozen=True):
    """Values under a key in another table, to be joined and ordered by."""

    table: LiteralString
    owner: LiteralString
    main: LiteralString
    kind: KeyKind


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that share a prefix."""

    name: str
    prefixes: tuple[str, ...]
    fields: Mapping[str, Field] | Field
    """By key; a single field where any key is allowed."""
    sorts: Mapping[str, Sort] | KeyedSort | None = None


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one search route can name. The first group needs no prefix."""

    name: LiteralString
    groups: tuple[Group, ...]
    default_order: tuple[tuple[str, bool], ...]
    """(field, descending) pairs of the first group, for searches that ask for no order."""
    tie_breaks: tuple[tuple[str, bool], ...]
    """Appended to a given order, unless it has them."""


EQUALITY = ("=", "!=")
MATCH = (*EQUALITY, "LIKE", "ILIKE")
MEMBER = (*MATCH, "IN", "NOT IN")
COMPARE = (*EQUALITY, ">", ">=", "<", "<=")
PRESENCE = (*MATCH, "IS NULL", "IS NOT NULL")


def _text(sql: LiteralString, comparators: tuple[str, ...] = MATCH, rows: LiteralString = "") -> Field:
    return Field(sql=sql, comparators=comparators, rows=rows)


def _time(sql: LiteralString, accepts: Accepts = Accepts.NUMBER) -> Field:
    return Field(sql=sql, accepts=accepts, comparators=COMPARE)


def _keyed(
    rows: LiteralString, comparators: tuple[str, ...] = PRESENCE, accepts: Accepts = Accepts.TEXT
) -> Field:
    return Field(sql="x.value", accepts=accepts, comparators=comparators, rows=rows, keyed=True)


def _metrics(rows: LiteralString) -> Field:
    return Field(
        sql="x.value", accepts=Accepts.MEASURE, comparators=COMPARE, rows=rows, keyed=True, is_nan="x.is_nan"
    )


_START = Sort("r.start_time", "integer")
_RUN_DATASET: LiteralString = "run_datasets x JOIN datasets d ON d.id = x.dataset WHERE x.run = r.id"

RUNS = Resource(
    name="runs",
    groups=(
        Group(
            name="attribute",
            prefixes=("attribute", "attributes", "attr", "run"),
            fields={
                "run_id": _text("r.run_id", MEMBER),
                "run_name": _text("r.run_name"),
                "run name": _text("r.run_name"),
                "Run name": _text("r.run_name"),
                "Run Name": _text("r.run_name"),
                "status": _text("r.status"),
                "artifact_uri": _text("r.artifact_uri"),
                "user_id": _text("r.user_id"),
                "start_time": _time("r.start_time"),
                "created": _time("r.start_time"),
                "Created": _time("r.start_time"),
                "end_time": _time("r.end_time"),
            },
            sorts={
                "run_id": Sort("r.run_id", "text", unique=True),
                "run_name": Sort("r.run_name", "text"),
                "status": Sort("r.status", "text"),
                "artifact_uri": Sort("r.artifact_uri", "text"),
                "user_id": Sort("r.user_id", "text"),
                "start_time": _START,
                "created": _START,
                "Created": _START,
                "end_time": Sort("r.end_time", "integer", nullable=True),
            },
        ),
        Group(
            name="metric",
            prefixes=("metric", "metrics"),
            fields=_metrics("series x WHERE x.run = r.id"),
            sorts=KeyedSort("series", "run", "r.id", "number"),
        ),
        Group(
            name="parameter",
            prefixes=("parameter", "parameters", "param", "params"),
            fields=_keyed("params x WHERE x.run = r.id"),
            sorts=KeyedSort("params", "run", "r.id", "text"),
        ),
        Group(
            name="tag",
            prefixes=("tag", "tags"),
            fields=_keyed("run_tags x WHERE x.run = r.id"),
            sorts=KeyedSort("run_tags", "run", "r.id", "text"),
        ),
        Group(
            name="dataset",
            prefixes=("dataset", "datasets"),
            fields={
                "name": _text("d.name", MEMBER, _RUN_DATASET),
                "digest": _text("d.digest", MEMBER, _RUN_DATASET),
                "context": _text(
                    "x.value",
                    MEMBER,
                    "run_dataset_tags x WHERE x.run = r.id AND x.key = 'mlflow.data.context'",
                ),
            },
        ),
    ),
    default_order=(("start_time", True), ("run_id", False)),
    tie_breaks=(("start_time", True), ("run_id", False)),
)

EXPERIMENTS = Resource(
    name="experiments",
    groups=(
        Group(
            name="attribute",
            prefixes=("attribute",),
            fields={
                "name": _text("e.name"),
                "experiment_id": Field(
                    sql="e.id", accepts=Accepts.QUOTED_INTEGER, comparators=(*EQUALITY, "IN", "NOT IN")
                ),
                "creation_time": _time("e.creation_time", Accepts.INTEGER),
                "last_update_time": _time("e.last_update_time", Accepts.INTEGER),
            },
            sorts={
                "name": Sort("e.name", "text", unique=True),
                "experiment_id": Sort("e.id", "integer", unique=True),
                "creation_time": Sort("e.creation_time", "integer"),
                "last_update_time": Sort("e.last_update_time", "integer"),
            },
        ),
        Group(
            name="tag", prefixes=("tag", "tags"), fields=_keyed("experiment_tags x WHERE x.experiment = e.id")
        ),
    ),
    default_order=(("creation_time", True), ("experiment_id", False)),
    tie_breaks=(("experiment_id", True),),
)

_MODEL_UPDATED = Sort("m.last_updated_timestamp", "integer")

REGISTERED_MODELS = Resource(
    name="registered models",
    groups=(
        Group(
            name="attribute",
            prefixes=("attribute",),
            fields={"name": _text("m.name", MEMBER)},
            sorts={
                "name": Sort("m.name", "text", unique=True),
                "timestamp": _MODEL_UPDATED,
                "last_updated_timestamp": _MODEL_UPDATED,
            },
        ),
        Group(
            name="tag",
            prefixes=("tag", "tags"),
            fields=_keyed("registered_model_tags x WHERE x.model = m.id", MATCH),
        ),
    ),
    default_order=(("name", False),),
    tie_breaks=(("name", False),),
)

MODEL_VERSIONS = Resource(
    name="model versions",
    groups=(
        Group(
            name="attribute",
            prefixes=("attribute",),
            fields={
                "name": _text("m.name", MEMBER),
                "run_id": _text("v.run_id", MEMBER),
                "source_path": _text("v.source"),
                "version_number": Field(
                    sql="v.version", accepts=Accepts.INTEGER_OR_TEXT, comparators=COMPARE
                ),
            },
            sorts={
                "name": Sort("m.name", "text"),
                "version_number": Sort("v.version", "integer"),
                "creation_timestamp": Sort("v.creation_timestamp", "integer"),
                "last_updated_timestamp": Sort("v.last_updated_timestamp", "integer"),
            },
        ),
        Group(
            name="tag",
            prefixes=("tag", "tags"),
            fields=_keyed("model_version_tags x WHERE x.model = v.model AND x.version = v.version", MATCH),
        ),
    ),
    default_order=(("last_updated_timestamp", True), ("name", False), ("version_number", True)),
    tie_breaks=(("name", False), ("version_number", True)),
)

_CREATED = Sort("l.creation_timestamp", "integer")
_UPDATED = Sort("l.last_updated_timestamp", "integer")
# MLflow takes unquoted numbers where this route compares texts: `params.lr = 0.01`.
_LAX = Accepts.TEXT_OR_NUMBER

LOGGED_MODELS = Resource(
    name="logged models",
    groups=(
        Group(
            name="attribute",
            prefixes=("attributes",),
            fields={
                "name": Field(sql="l.name", accepts=_LAX, comparators=MEMBER),
                "model_id": Field(sql="l.model_id", accepts=_LAX, comparators=MEMBER),
                "model_type": Field(sql="l.model_type", accepts=_LAX, comparators=MEMBER),
                # MLflow compares the number of its enumeration, as text: `status = 2` or `'2'` is READY.
                "status": Field(sql="CAST(l.status AS TEXT)", accepts=_LAX, comparators=MEMBER),
                "source_run_id": Field(sql="l.source_run_id", accepts=_LAX, comparators=MEMBER),
                "creation_timestamp": _time("l.creation_timestamp"),
                "creation_time": _time("l.creation_timestamp"),
                "last_updated_timestamp": _time("l.last_updated_timestamp"),
                "last_updated_time": _time("l.last_updated_timestamp"),
            },
            sorts={
                "name": Sort("l.name", "text"),
                "model_id": Sort("l.model_id", "text", unique=True),
                "model_type": Sort("l.model_type", "text", nullable=True),
                "status": Sort("l.status", "integer"),
                "source_run_id": Sort("l.source_run_id", "text", nullable=True),
                "experiment_id": Sort("l.experiment", "integer"),
                "creation_timestamp": _CREATED,
                "creation_time": _CREATED,
                "last_updated_timestamp": _UPDATED,
                "last_updated_time": _UPDATED,
            },
        ),
        Group(
            name="metrics",
            prefixes=("metrics",),
            fields=_metrics("logged_model_metrics x WHERE x.model = l.id"),
            sorts=KeyedSort("logged_model_metrics", "model", "l.id", "number"),
        ),
        Group(
            name="params",
            prefixes=("params",),
            fields=_keyed("logged_model_params x WHERE x.model = l.id", MEMBER, _LAX),
        ),
        Group(
            name="tags",
            prefixes=("tags",),
            fields=_keyed("logged_model_tags x WHERE x.model = l.id", MEMBER, _LAX),
        ),
    ),
    default_order=(("creation_timestamp", True), ("model_id", False)),
    tie_breaks=(("creation_timestamp", True), ("model_id", False)),
)
