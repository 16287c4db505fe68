"""Tensors of the Open Inference Protocol: datatypes, shapes and values, as JSON or raw bytes, to and from numpy.

Every value arrives as it was sent, or the request is refused: numpy alone would cut 1.5 to 1, take the text "2" for
a number and round integers beyond 2**53.
"""

import base64
import binascii
import datetime as dt
import functools
import importlib
import itertools
import math
import struct
from typing import Any, cast

import msgspec

from slipstream.errors import BadRequestError, InternalError
from slipstream.serving.encoding import encode

NUMBERS = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Datatypes whose values all have one size, and how numpy spells them."""
DATATYPES = (*NUMBERS, "BYTES")
CONTENT_TYPES = ("np", "pd", "str", "base64", "datetime")
"""What `content_type` may be in the parameters of an input; MLServer's words."""

_BY_DTYPE = {code.lstrip("<"): name for name, code in NUMBERS.items()}
_EXACT_IN_FLOAT = {"FP16": 2**11, "FP32": 2**24, "FP64": 2**53}
_LENGTH = struct.Struct("<I")
_SHOWN = 80
_MOST_VALUES = 1 << 40
_MOST_DIMENSIONS = 32


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = msgspec.UNSET
    parameters: dict[str, Any] | None = None

    @property
    def content_type(self) -> str | None:
        return None if self.parameters is None else self.parameters.get("content_type")


@functools.cache
def _numpy() -> Any:
    return importlib.import_module("numpy")  # not above: the edge reads this file too, and has no use for it


def datatype_of(dtype: Any) -> str:
    """Return the datatype for values of a numpy dtype; BYTES for all that are no numbers."""
    kind, size = dtype.kind, dtype.itemsize
    return "BOOL" if kind == "b" else _BY_DTYPE.get(f"{kind}{size}", "BYTES")


# -- in -------------------------------------------------------------------------------------------------
def to_array(tensor: Tensor, raw: memoryview | None) -> Any:
    """Return a tensor's values as an array of its shape; BYTES become text, or bytes where they are base64.

    Args:
        tensor: what the request says about it.
        raw: its values, if they stand behind the JSON of the request.

    Raises:
        BadRequestError: a field is wrong, or a value cannot be of the datatype; names the input.
    """
    numpy = _numpy()
    where = f"input '{tensor.name}'"
    if tensor.datatype not in DATATYPES:
        raise BadRequestError(
            f"Invalid value {tensor.datatype[:_SHOWN]!r} for 'datatype' of {where}: use one of {', '.join(DATATYPES)}."
        )
    content_type = tensor.content_type
    if content_type is not None and content_type not in CONTENT_TYPES:
        raise BadRequestError(
            f"Invalid value {str(content_type)[:_SHOWN]!r} for 'content_type' of {where}: use one of "
            f"{', '.join(CONTENT_TYPES)}, or leave it out."
        )
    count = _count(tensor.shape, where)
    if raw is not None:
        if tensor.data is not msgspec.UNSET:
            raise BadRequestError(f"The {where} has both 'data' and 'binary_data_size'; send one of them.")
        if tensor.datatype == "BYTES":
            values = _as_text(_cut(raw, count, where), content_type, where)
        else:
            return _from_raw(numpy, tensor, raw, count, where)
    else:
        values = _flat(tensor, count, where)
        if tensor.datatype == "BYTES":
            values = _as_text(_texts(values, where), content_type, where)
    if tensor.datatype == "BYTES":
        array = numpy.empty(count, dtype=object)
        array[:] = values
    else:
        array = _number_array(numpy, tensor.datatype, values, where)
    return array if len(tensor.shape) == 1 else array.reshape(tensor.shape)


def _count(shape: list[int], where: str) -> int:
    # Before they are multiplied: a million large numbers would take hours.
    fits = len(shape) <= _MOST_DIMENSIONS and all(0 <= size <= _MOST_VALUES for size in shape)
    count = math.prod(shape) if fits else 0
    # Beside a dimension of 0, too, the others are what numpy can have.
    if not fits or math.prod(size or 1 for size in shape) > _MOST_VALUES:
        raise BadRequestError(
            f"Invalid value {str(shape)[:_SHOWN]} for 'shape' of {where}: send the number of values in each dimension, of "
            f"which there are {_MOST_DIMENSIONS} at most."
        )
    return count


def _flat(tensor: Tensor, count: int, where: str) -> list[Any]:
    """Return the values of `data`, which is flat or nested as the shape says."""
    data: Any = tensor.data
    if not isinstance(data, list):
        raise BadRequestError(
            f"The {where} needs 'data': a list of values, or 'binary_data_size' in its parameters and the raw values "
            "behind the JSON."
        )
    values = cast("list[Any]", data)
    if values and type(values[0]) is list:
        for depth, size in enumerate(tensor.shape):
            # At each level all lists are as long as the shape says, or this is another shape.
            if depth:
                if not all(type(item) is list and len(item) == size for item in values):
                    break
                values = list(itertools.chain.from_iterable(values))
            elif len(values) != size:
                break
        else:
            return values
    elif len(values) == count:
        return values
    raise BadRequestError(
        f"'data' of {where} does not have the shape {tensor.shape}, which is {count} values: send as many, flat or "
        "nested as the shape says."
    )


def _number_array(numpy: Any, datatype: str, values: list[Any], where: str) -> Any:
    kinds = set(map(type, values))
    dtype = numpy.dtype(NUMBERS[datatype])
    if dtype.kind == "f":
        return _floats(numpy, datatype, dtype, values, kinds, where)
    if dtype.kind == "b":
        if not kinds <= {bool, int} or (int in kinds and not set(values) <= {0, 1}):
            wrong = next(value for value in values if value not in (0, 1) or type(value) is float)
            raise _refused(where, datatype, wrong, "send true or false")
        return numpy.array(values, dtype=dtype)
    if not kinds <= {int}:
        values = [_whole(value, datatype, where) for value in values]
    if values:
        limits = numpy.iinfo(dtype)
        low, high = min(values), max(values)
        if low < limits.min or high > limits.max:
            wrong = low if low < limits.min else high
            raise _refused(
                where, datatype, wrong, f"values are from {limits.min} to {limits.max}; send a wider datatype"
            )
    return numpy.array(values, dtype=dtype)


def _whole(value: Any, datatype: str, where: str) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    raise _refused(where, datatype, value, "send whole numbers")


def _floats(numpy: Any, datatype: str, dtype: Any, values: list[Any], kinds: set[Any], where: str) -> Any:
    if not kinds <= {int, float}:
        if not kinds <= {int, float, type(None)}:
            wrong = next(value for value in values if type(value) not in (int, float, type(None)))
            raise _refused(where, datatype, wrong, "send numbers")
        values = [math.nan if value is None else value for value in values]  # as MLServer sends NaN
    bound = _EXACT_IN_FLOAT[datatype]
    if int in kinds:
        for value in values:
            if type(value) is int and not -bound <= value <= bound:
                raise _refused(where, datatype, value, "it has no exact float of this size; send INT64")
    array = numpy.array(values, dtype=numpy.float64)
    if dtype.itemsize == 8:
        return array
    # A decimal fraction in JSON has no size: it is rounded to the datatype's, as it would be where it came from.
    with numpy.errstate(over="ignore"):
        narrow = array.astype(dtype)
    lost = numpy.isinf(narrow) & ~numpy.isinf(array)
    if lost.any():
        raise _refused(where, datatype, array[lost][0].item(), "it is out of range; send FP64")
    return narrow


def _texts(values: list[Any], where: str) -> list[bytes | str]:
    for value in values:
        if type(value) is not str:
            raise _refused(where, "BYTES", value, "send text, or base64 text with the content_type 'base64'")
    return values


def _as_text(values: list[Any], content_type: str | None, where: str) -> list[Any]:
    """Return BYTES as text; as bytes if they are base64."""
    if content_type == "base64":
        try:
            return [base64.b64decode(value, validate=True) for value in values]
        except (binascii.Error, ValueError) as error:
            raise BadRequestError(
                f"A value of {where} is not base64 ({error}), which its content_type says. Send base64, or leave out "
                "'content_type'."
            ) from error
    try:
        return [value if type(value) is str else str(value, "utf-8") for value in values]
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"A value of {where} is not UTF-8 text ({error}). Send other bytes as base64, with "
            '"parameters": {"content_type": "base64"}.'
        ) from error


def _from_raw(numpy: Any, tensor: Tensor, raw: memoryview, count: int, where: str) -> Any:
    dtype = numpy.dtype(NUMBERS[tensor.datatype])
    if len(raw) != count * dtype.itemsize:
        raise BadRequestError(
            f"'binary_data_size' of {where} is {len(raw)}, but {count} values of {tensor.datatype} (shape {tensor.shape}) "
            f"take {count * dtype.itemsize} bytes."
        )
    if dtype.kind == "b" and count:
        octets = numpy.frombuffer(raw, dtype=numpy.uint8)
        if octets.max() > 1:
            raise _refused(where, "BOOL", octets.max().item(), "a byte of BOOL is 0 or 1")
    # A copy: models may write into their input, and the body is read-only and may lie unaligned.
    return numpy.frombuffer(raw, dtype=dtype).copy().reshape(tensor.shape)


def _cut(raw: memoryview, count: int, where: str) -> list[bytes]:
    """Cut raw BYTES into values: each has its length before it, in four bytes."""
    values: list[bytes] = []
    position, size = 0, len(raw)
    while position < size and len(values) < count:
        if position + _LENGTH.size > size:
            break
        (length,) = _LENGTH.unpack_from(raw, position)
        position += _LENGTH.size
        if position + length > size:
            break
        values.append(bytes(raw[position : position + length]))
        position += length
    if position != size or len(values) != count:
        raise BadRequestError(
            f"The raw values of {where} are not {count} values of BYTES: before each, send its length as four bytes, "
            "little-endian."
        )
    return values


def _refused(where: str, wanted: str, value: object, why: str) -> BadRequestError:
    return BadRequestError(f"The value {str(value)[:_SHOWN]} of {where} cannot be {wanted}: {why}.")


def as_dtype(array: Any, dtype: Any, where: str, wanted: str | None = None) -> Any:
    """Return numbers as another dtype, every value as it was.

    Raises:
        BadRequestError: a value would change, or only one of the two is text or truth; names `where`.
    """
    if array.dtype == dtype:
        return array
    numpy = _numpy()
    wanted = wanted or dtype.name
    have = datatype_of(array.dtype)
    if (array.dtype.kind in "iuf") != (dtype.kind in "iuf") or dtype.kind not in "iuf":
        fits = "BYTES" if dtype.kind in "OUSM" else datatype_of(dtype)
        raise BadRequestError(
            f"The {where} has the datatype {have}, but the model takes {wanted}: send {fits}."
        )
    with numpy.errstate(all="ignore"):
        result = array.astype(dtype)
        # Both ways: 2**63 - 1 as a float equals the integer after one way, since the comparison rounds too.
        back = result.astype(array.dtype)
        same = (back == array) | (array != array)  # noqa: PLR0124  # NaN, of any dtype
        if array.dtype.kind in "iu" and dtype.kind == "f":
            same &= abs(array.astype(numpy.float64)) <= _EXACT_IN_FLOAT[datatype_of(dtype)]
        elif array.dtype.kind == "f" and dtype.kind in "iu":
            same &= numpy.isfinite(array) & (result == array) & (abs(array) <= _EXACT_IN_FLOAT["FP64"])
        elif array.dtype.kind in "iu":
            same &= (result < 0) == (array < 0)
    if not same.all():
        wrong = array[~same].ravel()[0].item()
        raise BadRequestError(
            f"The value {wrong} of {where} ({have}) would change as {wanted}, which the model takes: send the datatype "
            f"{datatype_of(dtype)}."
        )
    return result


# -- out ------------------------------------------------------------------------------------------------
def of_result(value: Any) -> Any:
    """Return one output of a model as an array that has a datatype: numbers, or objects of text and bytes.

    Raises:
        InternalError: it holds something that has no form here.
    """
    numpy = _numpy()
    array = _plain_array(numpy, value)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim == 1:
        array = array.reshape(-1, 1)  # as MLServer: the first dimension is the batch
    if datatype_of(array.dtype) != "BYTES":
        return array
    entries = numpy.empty(array.size, dtype=object)
    entries[:] = [_entry(item) for item in _items(array)]
    return entries.reshape(array.shape)


def _items(array: Any) -> list[Any]:
    if array.dtype.kind in "mM":  # nanoseconds would come as bare integers
        return [None if item == "NaT" else item for item in array.astype(str).ravel().tolist()]
    return array.ravel().tolist()


def _plain_array(numpy: Any, value: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        array: Any = value
    elif hasattr(value, "to_numpy"):  # a column of pandas
        array = value.to_numpy()
    else:
        items: list[Any] = list(cast("Any", value)) if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(item, (str, bytes, dict)) for item in items):
            return _objects(numpy, items)
        try:
            array = numpy.array(items)
        except (ValueError, TypeError, OverflowError):  # lists of different lengths
            return _objects(numpy, items)
    if array.dtype.kind == "O" and array.size:
        # Python numbers in a column of objects; anything else stays what it is.
        kinds = set(map(type, array.ravel().tolist()))
        if kinds <= {int, float} or kinds == {bool}:
            tried = numpy.array(array.tolist())
            exact = kinds != {int} or tried.dtype.kind in "iu"
            return tried if exact and tried.shape == array.shape else array
    return array


def _objects(numpy: Any, items: list[Any]) -> Any:
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array


def _entry(item: Any) -> str | bytes:
    if isinstance(item, (str, bytes)):
        return item
    if isinstance(item, (dt.date, dt.time)):
        return item.isoformat()
    return encode(item, wrapped=False).decode()


def json_values(array: Any) -> tuple[list[Any], bool, bool]:
    """Return the flat values of an array from `of_result`, whether they are base64, and whether plain JSON has them."""
    if array.dtype.kind != "O":
        numpy = _numpy()
        plain = array.dtype.kind != "f" or not numpy.isinf(array).any()
        return array.ravel().tolist(), False, plain
    items: list[Any] = array.ravel().tolist()
    if any(type(item) is bytes for item in items):
        octets = [item if type(item) is bytes else item.encode() for item in items]
        return [base64.b64encode(item).decode("ascii") for item in octets], True, True
    return items, False, True


def raw_values(array: Any) -> bytes:
    """Return the values of an array from `of_result` as they stand behind the JSON of an answer."""
    if array.dtype.kind != "O":
        numpy = _numpy()
        return numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    pieces: list[bytes] = []
    for item in array.ravel().tolist():
        try:
            octets = item if type(item) is bytes else item.encode()
        except UnicodeEncodeError as error:
            raise InternalError(f"The model answered with text that is not Unicode: {error}.") from error
        pieces += (_LENGTH.pack(len(octets)), octets)
    return b"".join(pieces)
