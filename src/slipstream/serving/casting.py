"""JSON values as the types of a model's signature: what JSON cannot say, the signature knows.

JSON has no bytes, no dates, no 32-bit floats and no columns, so this is where base64 becomes bytes, ISO text
a time and lists of rows a table. Whether the result fits the signature is not decided here: that is
`PyFuncModel.predict`'s work, for servers and Python callers alike.
"""

import base64
import binascii
import functools
import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from slipstream.errors import BadRequestError, MissingDependencyError, SchemaEnforcementError
from slipstream.models.column_values import convert_values
from slipstream.models.exact_numbers import (
    EXACT_IN_DOUBLE,
    build_table,
    float_holds,
    has_large_floats,
    number_from_text,
    to_array,
    with_all_digits,
)
from slipstream.models.schema import Array, ColSpec, DataType, Schema, TensorSpec

_NUMBERS = frozenset({DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double})
_EXACT_IN_FLOAT = 2**24
_SHOWN = 80
# What pandas takes for a missing value in a CSV table.
_MISSING_IN_CSV = (
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
).split("|")


def import_pandas() -> Any:
    """Return pandas; imported here, since many models never need it.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return _import("pandas")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"This request needs {name}, which is not installed beside the server: pip install {name}"
        ) from error


class InputCaster:
    """Turns parsed JSON into a DataFrame or arrays for one model. Made once when the model is loaded."""

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema
        self._tensors = schema is not None and schema.is_tensor_spec()
        self._specs: dict[Any, ColSpec | TensorSpec] = (
            schema.input_dict() if schema is not None and schema.has_input_names() else {}
        )
        scalars = bool(self._specs) and not self._tensors
        # Tables of doubles are the common case, and one array holds them.
        self._all_double = scalars and all(spec.type is DataType.double for spec in self._specs.values())
        self._nested = bool(self._specs) and not all(
            isinstance(spec, TensorSpec) or isinstance(spec.type, DataType) for spec in self._specs.values()
        )
        floats = any(spec.type is DataType.float for spec in self._specs.values()) and not self._tensors
        # Floats from here on may come from integers that the model's floats do not hold.
        self._exact_below = _EXACT_IN_FLOAT if floats else EXACT_IN_DOUBLE
        self._records_are_rows = scalars and all(
            isinstance(spec.type, DataType) and spec.type is not DataType.binary
            for spec in self._specs.values()
        )
        if not self._tensors:
            import_pandas()  # now, not in the first request

    # -- tables -------------------------------------------------------------------------------------
    def split_frame(self, payload: Any) -> Any:
        """Make the table of `dataframe_split`: an object with `data` and maybe `columns` and `index`.

        Raises:
            BadRequestError: it is no such object, or a value cannot be of its column's type.
        """
        if not isinstance(payload, dict):
            raise BadRequestError(
                f"'dataframe_split' must be an object with 'data', 'columns' and 'index', got {_kind(payload)}."
            )
        split = cast("dict[str, Any]", payload)
        extra = sorted(split.keys() - {"data", "columns", "index"})
        if "data" not in split or extra:
            raise BadRequestError(
                "'dataframe_split' needs the key 'data' and may have 'columns' and 'index'; got "
                f"{sorted(split)}."
            )
        data, columns, index = split["data"], split.get("columns"), split.get("index")
        _require_names(columns, levels=not self._specs)
        if self._all_double and index is None and columns and set(columns) == self._specs.keys():
            frame = self._double_frame(data, columns)
            if frame is not None:
                return frame
        try:
            frame = self._table(data, columns=columns, index=index)
        except Exception as error:  # pandas raises many kinds here, all about the data
            raise BadRequestError(f"'dataframe_split' does not make a table: {error}.") from error
        return self.cast_frame(frame)

    def records_frame(self, payload: Any) -> Any:
        """Make the table of `dataframe_records`: a list of objects, one a row.

        Raises:
            BadRequestError: it is no such list, or a value cannot be of its column's type.
        """
        if not isinstance(payload, list):
            raise BadRequestError(f"'dataframe_records' must be a list of objects, got {_kind(payload)}.")
        records = cast("list[Any]", payload)
        if self._all_double and records:
            names = list(self._specs)
            try:
                rows = [[record[name] for name in names] for record in records]
            except (KeyError, TypeError):
                rows = None
            if rows is not None:
                frame = self._double_frame(rows, names)
                if frame is not None:
                    return frame
        try:
            frame = self._table(records)
        except Exception as error:  # pandas raises many kinds here, all about the data
            raise BadRequestError(f"'dataframe_records' does not make a table: {error}.") from error
        return self.cast_frame(frame)

    def csv_frame(self, read: Callable[..., Any]) -> Any:
        """Make the table of CSV text: text columns as text, so that `007` and `NA` stay, and integers exactly.

        Args:
            read: `pandas.read_csv` with the text.
        """
        text = {
            name
            for name, spec in self._specs.items()
            if spec.type in (DataType.string, DataType.binary, DataType.datetime)
        }
        options: dict[str, Any] = {"dtype": dict.fromkeys(text, object)} if text else {}
        if text:
            # In text, only what is empty is missing; pandas would take `NA` and `null` for nothing as well.
            missing = {
                name: [""] if self._is_text(name) else _MISSING_IN_CSV for name in read(nrows=0).columns
            }
            options.update(keep_default_na=False, na_values=missing)
        frame = read(**options)
        large = [name for name in frame.columns if has_large_floats(frame[name], self._exact_below)]
        if large:
            values = read(**{**options, "dtype": dict.fromkeys([*text, *large], object)})
            for name in large:
                frame[name] = with_all_digits(frame[name], values[name], self._exact_below)
        return frame

    def _is_text(self, name: Any) -> bool:
        return name in self._specs and self._specs[name].type in (DataType.string, DataType.binary)

    def cast_frame(self, frame: Any) -> Any:
        """Convert the columns that the signature knows; others stay as they came.

        Raises:
            BadRequestError: a value cannot be of its column's type; names the column.
        """
        if self._schema is None:
            return frame
        if self._tensors:
            return self._cast_tensor_frame(frame)
        if self._specs:
            pairs = [(name, spec) for name, spec in self._specs.items() if name in frame.columns]
        else:
            pairs = list(zip(frame.columns, self._schema, strict=False))
        for name, spec in pairs:
            column = frame[name]
            if column.ndim > 1:
                raise BadRequestError(f"Column '{name}' is given more than once; send it once.")
            if isinstance(spec.type, DataType):
                try:
                    cast_column = _cast_column(column, spec.type, name, required=spec.required)
                except OverflowError as error:  # somewhere in pandas or numpy: JSON's integers have no bounds
                    raise _not_convertible(f"column '{name}'", spec.type.name, error) from error
                if cast_column is not column:
                    frame[name] = cast_column
        return frame

    def _table(self, data: Any, **options: Any) -> Any:
        build = functools.partial(import_pandas().DataFrame, data=data, **options)
        return build_table(build, exact_below=self._exact_below)

    def _double_frame(self, rows: Any, columns: list[Any]) -> Any:
        """Make a table of doubles from rows in one step; None when the rows are not that regular."""
        numpy = _import("numpy")
        try:
            values = numpy.array(rows, dtype=numpy.float64)
        except (ValueError, TypeError, OverflowError):
            return None  # the way by pandas finds the column to blame
        if has_large_floats(values):
            return None  # and it looks at each digit
        if values.ndim != 2 or values.shape[1] != len(columns):  # rows and columns
            return None
        return import_pandas().DataFrame(values, columns=columns, copy=False)

    def _cast_tensor_frame(self, frame: Any) -> Any:
        schema = cast("Schema", self._schema)
        if self._specs:
            pairs = [(name, spec.type) for name, spec in self._specs.items() if name in frame.columns]
        else:
            pairs = [(name, schema.inputs[0].type) for name in frame.columns]
        for name, dtype in pairs:
            column = frame[name]
            if column.ndim > 1:
                raise BadRequestError(f"Column '{name}' is given more than once; send it once.")
            if len(column) and isinstance(column.iloc[0], list):
                continue  # a tensor a row: the signature's check stacks them
            if column.dtype != dtype:
                frame[name] = _to_array(column.to_numpy(), dtype, f"column '{name}'")
        return frame

    # -- the forms `inputs` and `instances` -----------------------------------------------------------
    def from_inputs(self, payload: Any) -> Any:
        """Make the input of `inputs`: columns by name, one array, records, or a single value.

        Raises:
            BadRequestError: a value cannot be of its column's type.
        """
        if (
            len(self._specs) == 1
            and isinstance(payload, list)
            and not _has_objects(cast("list[Any]", payload))
        ):
            only: dict[str, Any] = {next(iter(self._specs)): payload}
            payload = only
        if isinstance(payload, dict):
            if self._schema is not None and not self._specs:
                raise BadRequestError(
                    "The model's signature has no input names: 'inputs' must be one array or value, got an object "
                    f"with the keys {sorted(cast('dict[str, Any]', payload))}."
                )
            columns = cast("dict[str, Any]", payload)
            return {name: self._convert(value, name) for name, value in columns.items()}
        if isinstance(payload, list) and all(isinstance(item, dict) for item in cast("list[Any]", payload)):
            records = cast("list[dict[str, Any]]", payload)
            if records and self._records_are_rows:  # they become a table anyway, and this way is shorter
                return self.cast_frame(self._table(records))
            return [
                {name: self._convert(value, name, row) for name, value in item.items()}
                for row, item in enumerate(records)
            ]
        return self._convert(payload, None)

    def from_instances(self, payload: Any) -> Any:
        """Make the input of `instances`: a list of rows, each a value, a list or an object.

        Raises:
            BadRequestError: rows have different names, or a value cannot be of its column's type.
        """
        rows = cast("list[Any]", payload) if isinstance(payload, list) else []
        if rows and isinstance(rows[0], dict):
            columns: dict[str, list[Any]] = {}
            for row, item in enumerate(rows):
                if not isinstance(item, dict):
                    raise BadRequestError(
                        f"'instances' starts with an object, but row {row} is {_kind(item)}."
                    )
                for name, value in cast("dict[str, Any]", item).items():
                    columns.setdefault(name, []).append(value)
            if self._nested:  # lists of rows would look like the lists inside one
                return self.from_inputs(rows)
            self._require_equal_lengths(columns)
            return {name: self._convert(values, name) for name, values in columns.items()}
        converted = self.from_inputs(payload)
        if isinstance(converted, dict):
            self._require_equal_lengths(cast("dict[str, Any]", converted))
        return cast("Any", converted)

    def _require_equal_lengths(self, columns: Mapping[str, Any]) -> None:
        lengths = {
            name: len(values)
            for name, values in columns.items()
            if _is_column(values) and (name not in self._specs or self._specs[name].required)
        }
        if len(set(lengths.values())) > 1:
            raise BadRequestError(
                "Every row of 'instances' must have the same names; the number of values by name is "
                f"{lengths}. Send null where a value is missing."
            )

    def _convert(self, value: Any, name: str | None, row: int | None = None) -> Any:
        where = "the input" if name is None else f"input '{name}'"
        if row is not None:
            where += f", row {row}"
        spec = self._specs.get(name) if name is not None else None
        if spec is None and name is None and self._schema is not None:
            spec = self._schema.inputs[0]
        if spec is None:
            # Objects and null have no use as arrays of one object; they go to the model as they are.
            if value is None or isinstance(value, dict):
                return cast("Any", value)
            return _to_array(value, None, where)
        if isinstance(spec, TensorSpec):
            return _to_array(value, spec.type, where)
        if isinstance(spec.type, Array) and row is not None:
            return _to_cell(value, spec.type.dtype, where)
        if not isinstance(spec.type, DataType):
            return value
        if isinstance(value, list):
            return _to_typed(cast("list[Any]", value), spec, where)
        if spec.type is DataType.string and value is not None and not isinstance(value, str):
            raise _not_convertible(where, "string", f"send text, not {_kind(value)}")
        return _to_typed([value], spec, where)[0]


def _require_names(columns: Any, *, levels: bool) -> None:
    """Refuse `columns` that pandas would fail on; with `levels`, lists of names may make columns of several levels."""
    if columns is None:
        return
    if not isinstance(columns, list):
        raise BadRequestError(
            f"'columns' of 'dataframe_split' must be a list of names, got {_kind(columns)}."
        )
    names = cast("list[Any]", columns)
    if levels and all(isinstance(name, list) for name in names):
        return
    for position, name in enumerate(names):
        if isinstance(name, (list, dict)):
            raise BadRequestError(
                f"'columns' of 'dataframe_split' must be a list of names, but item {position} is {_kind(name)}."
            )


def _cast_column(column: Any, wanted: DataType, name: Any, *, required: bool) -> Any:
    if wanted is DataType.binary:
        return column.map(functools.partial(_from_base64, where=f"column '{name}'"), na_action="ignore")
    where = f"column '{name}'"
    if wanted is not DataType.datetime:
        if wanted not in _NUMBERS or column.dtype == wanted.to_numpy():
            return column
        column = _cast_numbers(column, wanted, where)
        if not required and bool(column.isna().any()):
            return column  # the signature's check knows what may be missing
    return _convert_values(column, wanted, where, required=required)


def _cast_numbers(column: Any, wanted: DataType, where: str) -> Any:
    """Make numbers of what JSON and CSV write in other ways: text, 1 for true, doubles where floats are wanted."""
    pandas = import_pandas()
    if wanted is DataType.boolean:
        if column.dtype.kind in "iuf" and bool((column.isin((0, 1)) | column.isna()).all()):
            values = [None if pandas.isna(value) else bool(value) for value in column]
            column = pandas.Series(values, index=column.index, name=column.name, dtype=object)
        return column
    if column.dtype.kind == "O" or type(column.dtype).__name__ == "StringDtype":
        column = _read_numbers(column, wanted, where)
    if wanted is DataType.float and column.dtype.kind == "f":
        # Every JSON number is a double; the model's type is known to be less.
        return pandas.Series(
            _to_array(column.to_numpy(), wanted.to_numpy(), where), index=column.index, name=column.name
        )
    return column.astype("int8") if column.dtype.kind == "b" else column


def _read_numbers(column: Any, wanted: DataType, where: str) -> Any:
    pandas = import_pandas()
    values: list[Any] = []
    digits = (24, 128) if wanted is DataType.float else (53, 1024)
    for row, value in enumerate(column):
        number = value
        if isinstance(value, str):
            try:
                number = number_from_text(value)
            except ValueError as error:
                raise _not_convertible(f"{where}, row {row}", wanted.name, error) from error
        if isinstance(number, bool):
            number = int(number)
        if wanted in (DataType.float, DataType.double) and isinstance(number, (int, float)):
            if not float_holds(number, *digits):
                raise _not_convertible(f"{where}, row {row}", wanted.name, f"{value!r} would change")
            number = float(number)
        values.append(number)
    if wanted in (DataType.float, DataType.double) and all(
        isinstance(value, float) or value is None or value is pandas.NA for value in values
    ):
        floats = [value if isinstance(value, float) else math.nan for value in values]
        return pandas.Series(floats, index=column.index, name=column.name, dtype="float64")
    return pandas.Series(values, index=column.index, name=column.name, dtype=object)


def _convert_values(values: Any, wanted: DataType, where: str, *, required: bool) -> Any:
    try:
        return convert_values(values, wanted, where, required=required)
    except SchemaEnforcementError as error:  # MLflow's code for a value of the wrong type
        raise BadRequestError(str(error)) from error


def _from_base64(value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise _not_convertible(where, "binary", f"bytes are sent as base64 text, got {_kind(value)}")
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_convertible(where, "binary", f"{value[:_SHOWN]!r} is not base64: {error}") from error


def _to_cell(value: Any, wanted: Any, where: str) -> Any:
    """Return a list inside a row as an array, which is what MLflow gives the model in this form."""
    items = cast("list[Any]", value) if isinstance(value, list) else None
    kinds: tuple[type[Any], ...] = {DataType.string: (str,), DataType.boolean: (bool,)}.get(
        wanted, (int, float)
    )
    if items is None or wanted not in _NUMBERS | {DataType.string}:
        return cast("Any", value)  # the signature's check goes through it
    # Texts and booleans are no numbers inside lists, and null needs a list.
    if not all(isinstance(item, kinds) and isinstance(item, bool) == (kinds == (bool,)) for item in items):
        return items
    return _to_array(items, wanted.to_numpy(), where)


def _to_typed(values: list[Any], spec: ColSpec, where: str) -> Any:
    numpy = _import("numpy")
    wanted = cast("DataType", spec.type)
    if wanted is DataType.string:
        text = all(isinstance(value, str) for value in values)
        if not text:
            for row, value in enumerate(values):
                # MLflow writes the value as text, null too, which is what no client can have meant.
                if value is not None and not isinstance(value, str):
                    raise _not_convertible(f"{where}, row {row}", "string", f"send text, not {_kind(value)}")
        return numpy.array(values, dtype=str if text else object)
    if wanted is DataType.binary:
        # Unlike in tables, MLflow takes this form's text as the bytes themselves.
        data = numpy.empty(len(values), dtype=object)
        data[:] = [value.encode() if isinstance(value, str) else value for value in values]
        return data
    if wanted is DataType.datetime:
        series = import_pandas().Series(values, dtype=object)
        return _convert_values(series, wanted, where, required=spec.required).to_numpy()
    if wanted in (DataType.float, DataType.double) or None not in values:
        return _to_array(values, wanted.to_numpy(), where)
    if spec.required:
        raise _not_convertible(
            f"{where}, row {values.index(None)}",
            wanted.name,
            "null stands for a missing value and the column is required; fill it, or log the model with a "
            "signature in which the column is optional",
        )
    present = [value for value in values if value is not None]
    converted = iter(_to_array(present, wanted.to_numpy(), where).tolist())
    data = numpy.empty(len(values), dtype=object)
    data[:] = [None if value is None else next(converted) for value in values]
    return data


def _to_array(value: Any, dtype: Any, where: str) -> Any:
    """Make an array, but never so that a number changes: numpy would cut 1.5 to 1 without a word."""
    numpy = _import("numpy")
    try:
        if dtype is not None and dtype.kind in "iufb":
            return to_array(value, dtype)
        result = numpy.array(value, dtype=dtype)
        # An integer with more digits than a float holds stays what it is beside fractions, too.
        return numpy.array(value, dtype=object) if dtype is None and has_large_floats(result) else result
    except (ValueError, TypeError, OverflowError) as error:
        wanted = "array" if dtype is None else dtype.name
        raise _not_convertible(where, wanted, error) from error


def _not_convertible(where: str, wanted: str, why: object) -> BadRequestError:
    return BadRequestError(f"The value of {where} is not convertible to {wanted}: {why}.")


def _is_column(values: Any) -> bool:
    return isinstance(values, list) or getattr(values, "ndim", 0) > 0


def _has_objects(values: list[Any]) -> bool:
    return any(isinstance(value, dict) for value in values)


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(cast("type[Any]", type(value)), type(value).__name__)
