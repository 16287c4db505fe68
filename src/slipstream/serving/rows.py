"""Rows of requests as they stand in JSON, so that those of several requests become one input in one step.

Building a table costs much more than a row of it, so a table for each request would be most of the work. A
request's rows may stand beside those of others only where they then mean what they mean alone: where the
signature says each value's type and none may be missing.
"""

from collections.abc import Iterable
from typing import Any, cast

from slipstream.models.schema import ColSpec, DataType, Schema
from slipstream.serving.casting import InputCaster
from slipstream.serving.question import Rows

_JOINED_TYPES = frozenset(
    {DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double, DataType.string}
)


class RowReader:
    """Finds the rows of requests for one model."""

    def __init__(self, schema: Schema | None, caster: InputCaster) -> None:
        self._caster = caster
        self._arrays = schema is not None and schema.is_tensor_spec() and not schema.has_input_names()
        self._tables = (
            schema is not None
            and not schema.is_tensor_spec()
            and schema.has_input_names()
            and all(
                isinstance(spec, ColSpec) and spec.required and spec.type in _JOINED_TYPES for spec in schema
            )
        )
        self._has_text = self._tables and any(spec.type is DataType.string for spec in schema or ())

    def read(self, payload: dict[str, Any]) -> Rows | None:
        """Return a request's rows, or None if it has to be read as a whole, such as for what is wrong with it."""
        if len(payload) != 1:
            return None
        ((key, value),) = payload.items()
        if self._arrays and key in ("inputs", "instances"):
            return self._array(value)
        if self._tables and key == "dataframe_split":
            return self._split(value)
        if self._tables and key == "dataframe_records":
            return self._records(value)
        return None

    def of_columns(self, columns: dict[Any, Any]) -> Rows | None:
        """Return the rows of arrays that have their columns' types already; None if such rows cannot be joined."""
        if not self._tables or not columns:
            return None
        names = list(columns)
        values: list[list[Any]] = [column.tolist() for column in columns.values()]
        rows = [list(row) for row in zip(*values, strict=True)]
        return self._split({"columns": names, "data": rows})

    def _array(self, value: Any) -> Rows | None:
        if not isinstance(value, list) or not value:
            return None
        rows = cast("list[Any]", value)
        kinds = set(map(type, rows))
        # Objects and bare values are read in other ways.
        return Rows(self._caster.from_inputs, rows, ("array",)) if kinds == {list} else None

    def _split(self, value: Any) -> Rows | None:
        if not isinstance(value, dict):
            return None
        split = cast("dict[str, Any]", value)
        columns, data = split.get("columns"), split.get("data")
        if len(split) != 2 or not isinstance(columns, list) or not isinstance(data, list) or not data:
            return None
        names = cast("list[Any]", columns)
        rows = cast("list[Any]", data)
        width = len(names)
        if not all(type(name) is str for name in names) or not all(_is_full(row, width) for row in rows):
            return None
        if self._has_text and any(_has_nan(row) for row in rows):
            return None

        def make(joined: list[Any]) -> Any:
            return self._caster.split_frame({"columns": names, "data": joined})

        return Rows(make, rows, ("split", *names))

    def _records(self, value: Any) -> Rows | None:
        records = cast("list[dict[str, Any]]", value) if isinstance(value, list) else []
        if not records or type(records[0]) is not dict:
            return None
        names = tuple(records[0])
        if not all(
            type(record) is dict and tuple(record) == names and None not in record.values()
            for record in records
        ):
            return None
        if self._has_text and any(_has_nan(record.values()) for record in records):
            return None
        return Rows(self._caster.records_frame, records, ("records", *names))


def _has_nan(values: Iterable[Any]) -> bool:
    """Tell whether a value is NaN, which is missing beside text and a number by itself."""
    return any(type(value) is float and value != value for value in values)  # noqa: PLR0124


def _is_full(row: Any, width: int) -> bool:
    if not isinstance(row, list):
        return False
    values = cast("list[Any]", row)
    return len(values) == width and None not in values
