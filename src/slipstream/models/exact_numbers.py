"""Numbers of one type as another: exactly, or not at all.

Numbers lose digits where libraries pass integers through floats: pandas does so with integers beside nulls, numpy
with integers beside fractions. So what counts here is the value as it was written. Fractions become the nearest
float, as in every language; whole numbers must stay what they are.
"""

import contextlib
import decimal
import importlib
import itertools
import re
from collections.abc import Callable
from typing import Any, cast

EXACT_IN_DOUBLE = 2**53
"""From here on a double stands for several integers: which one was meant cannot be known any more."""
_WHOLE = re.compile(r"[+-]?[0-9]+")


def number_from_text(text: str) -> int | float:
    """Read a number, an integer with all its digits.

    Raises:
        ValueError: it is no number.
    """
    plain = text.strip()
    if "_" in plain:  # Python's spelling, nobody else's
        raise ValueError(f"{text[:80]!r} is no number")
    try:
        return int(plain) if _WHOLE.fullmatch(plain) else float(plain)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no number") from None


def to_integer(value: Any, low: int, high: int) -> int | None:
    """Return a number as an integer between two, these included; `None` if it is none, or may have lost digits."""
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= EXACT_IN_DOUBLE:
            return None
    elif isinstance(value, decimal.Decimal) and (
        not value.is_finite() or value.adjusted() > 20 or value != value.to_integral_value()
    ):
        return None
    number = int(value)
    return number if low <= number <= high else None


def float_holds(value: Any, digits: int, exponent: int) -> bool:
    """Tell whether a float of so many binary digits and so large an exponent holds a number.

    `numpy.finfo(dtype)` calls them `nmant + 1` and `maxexp`. A fraction fits unless it would become infinite.
    """
    if isinstance(value, decimal.Decimal):
        whole = value.is_finite() and value.adjusted() < 400 and value == value.to_integral_value()
        value = int(value) if whole else float(value)
    if isinstance(value, float):
        return value - value != 0 or abs(value) < 2.0 ** (exponent - 1) * (2 - 2.0**-digits)
    size = abs(int(value))
    return not size or (size.bit_length() <= exponent and (size // (size & -size)).bit_length() <= digits)


def build_table(build: Callable[..., Any], *, exact_below: int = EXACT_IN_DOUBLE) -> Any:
    """Make a pandas table whose integers keep all their digits.

    Args:
        build: makes the table; with `dtype=object` each value stays as it was given.
        exact_below: floats from here on may come from integers that they do not hold.
    """
    frame = build()
    suspects = [
        position
        for position in range(len(frame.columns))
        if has_large_floats(frame.iloc[:, position], exact_below)
    ]
    if suspects:
        values = build(dtype=object)
        for position in suspects:
            column = frame.iloc[:, position]
            frame.isetitem(position, with_all_digits(column, values.iloc[:, position], exact_below))
    return frame


def with_all_digits(floats: Any, values: Any, exact_below: int = EXACT_IN_DOUBLE) -> Any:
    """Return a pandas column of floats as it was written, if there are large integers in it.

    Args:
        floats: the column as pandas read it.
        values: the same values as they were given: numbers, text of numbers, or missing.
        exact_below: smaller integers are what the floats say.
    """
    pandas: Any = importlib.import_module("pandas")
    given = [None if gone else value for value, gone in zip(values, floats.isna(), strict=True)]
    numbers = [number_from_text(value) if isinstance(value, str) else plain_number(value) for value in given]
    integers = [value for value in numbers if type(value) is int]
    if not any(abs(value) >= exact_below for value in integers):
        return floats
    whole = len(integers) == len(numbers) - numbers.count(None)
    fits = whole and all(-(2**63) <= value < 2**63 for value in integers)
    array = pandas.array(numbers, dtype="Int64") if fits else pandas.Series(numbers, dtype=object).array
    return pandas.Series(array, index=floats.index, name=floats.name)


def to_array(values: Any, dtype: Any) -> Any:
    """Make a numpy array of numbers or booleans from nested lists, or from an array.

    Raises:
        ValueError: a value is no such number or would change, or the lists are not regular.
        OverflowError: an integer is larger than any float.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            result: Any = _from_rows(values, dtype)
            digits, exponent = np.finfo(dtype).nmant + 1, int(np.finfo(dtype).maxexp)
            if bool((abs(result) >= 2.0**digits).any()):
                for value in np.array(values, dtype=object).ravel():
                    number = number_from_text(value) if isinstance(value, str) else plain_number(value)
                    if number is not None and not float_holds(number, digits, exponent):
                        raise ValueError(f"{number!r} would change")
            return result
        found: Any = np.array(values)
        if dtype.kind == "b":
            return _to_booleans(found, dtype)
        if found.dtype.kind in "bi" or (found.dtype.kind in "uf" and not has_large_floats(found)):
            result = found.astype(dtype)
            changed = result != found
            if changed.any():
                raise ValueError(f"{found[changed].ravel()[0]} would change")
            return result
    limits = np.iinfo(dtype)
    objects = np.array(values, dtype=object)
    result = np.empty(objects.shape, dtype=dtype)
    for place, value in np.ndenumerate(objects):
        result[place] = _to_whole(value, int(limits.min), int(limits.max))
    return result


def _from_rows(values: Any, dtype: Any) -> Any:
    """Make an array of floats; lists of lists, which requests bring, in half of numpy's time."""
    import numpy as np

    rows = cast("list[Any]", values) if type(values) is list else []
    if rows and set(map(type, rows)) == {list}:
        widths = set(map(len, rows))
        if len(widths) == 1:
            (width,) = widths
            # Lists of more dimensions, null, and text that is no number are numpy's own to read or to refuse.
            with contextlib.suppress(TypeError, ValueError):
                flat: Any = np.fromiter(
                    itertools.chain.from_iterable(rows), dtype=dtype, count=len(rows) * width
                )
                return flat.reshape(len(rows), width)
    every: Any = np.array(cast("Any", values), dtype=dtype)
    return every


def _to_whole(value: Any, low: int, high: int) -> int:
    number = number_from_text(value) if isinstance(value, str) else plain_number(value)
    if not isinstance(number, (int, float)):
        shown = "null" if number is None else repr(number)[:80]
        raise ValueError(f"{shown} is no integer")  # noqa: TRY004  # one error for all that does not fit
    whole = to_integer(number, low, high)
    if whole is None:
        raise ValueError(f"{number!r} would change")
    return whole


def _to_booleans(found: Any, dtype: Any) -> Any:
    if found.dtype.kind not in "biuf":
        raise ValueError("send true or false")
    changed = (found != 0) & (found != 1)
    if changed.any():
        raise ValueError(f"{found[changed].ravel()[0]} would change")
    return found.astype(dtype)


def has_large_floats(values: Any, exact_below: int = EXACT_IN_DOUBLE) -> bool:
    """Tell whether a column or an array holds floats that may have been integers with more digits."""
    return values.dtype.kind == "f" and bool((abs(values) >= exact_below).any())


def plain_number(value: Any) -> Any:
    """Return the Python value in a numpy scalar; anything else, and numpy's times, as it is."""
    scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
    return value.item() if scalar and value.dtype.kind not in "mM" else value
