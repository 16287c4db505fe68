"""A model's result as JSON, spelled as MLflow spells it.

Numbers and numpy values become JSON numbers, NaN and infinities the bare words `NaN` and `Infinity` (Python's
spelling, not JSON's), bytes base64 text, times ISO text, tables a list of records.
"""

import base64
import contextlib
import datetime as dt
import json
import sys
from typing import Any

import msgspec

from slipstream.errors import InternalError

_encode_fast = msgspec.json.Encoder().encode


def encode(result: Any, *, wrapped: bool = True) -> bytes:
    """Return the JSON of a result, under the key `predictions` unless `wrapped` is false.

    Raises:
        InternalError: the result holds something that JSON has no form for; the message names its type.
    """
    plain, simple = _to_plain(result)
    document: Any = {"predictions": plain} if wrapped else plain
    if simple:
        with contextlib.suppress(UnicodeEncodeError):  # half a character
            encoded = _encode_fast(document)
            if encoded.isascii():  # json.dumps escapes the rest; MLflow's bytes are kept even there
                return msgspec.json.format(encoded, indent=0)
    try:
        return json.dumps(document, default=_default).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError(
            f"The model answered with a {type(result).__name__} that has no JSON form ({error}). Let predict "
            "return numbers, text, lists, dicts, numpy arrays or pandas tables."
        ) from error


def _to_plain(result: Any) -> tuple[Any, bool]:
    """Turn arrays and tables into lists; also tell whether all is finite numbers or text, the fast case."""
    # A result can only be of a library that is loaded already: looking there costs no import.
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(result, numpy.ndarray):
        return result.tolist(), _is_simple(numpy, result)
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(result, pandas.Series):
            result = result.to_frame()
        if isinstance(result, pandas.DataFrame):
            simple = all(kind.kind in "iub" for kind in result.dtypes)
            return result.to_dict(orient="records"), simple and all(
                type(name) is str for name in result.columns
            )
    return result, False


def _is_simple(numpy: Any, array: Any) -> bool:
    kind = array.dtype.kind
    return kind in "iubU" or (kind == "f" and bool(numpy.isfinite(array).all()))


def _default(value: Any) -> Any:
    """Convert what the JSON encoder does not know; called by it for each such value."""
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, (dt.date, dt.time)):  # datetime and pandas' Timestamp are dates
        return value.isoformat()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return value.tolist()
        if isinstance(value, numpy.generic):
            return value.item()
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None:
        if value is pandas.NA:
            return None
        if isinstance(value, (pandas.DataFrame, pandas.Series)):
            return _to_plain(value)[0]
    model_dump = getattr(value, "model_dump", None)
    if callable(model_dump):  # a pydantic model, from a library that need not be there
        return model_dump()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
