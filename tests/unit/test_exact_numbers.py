"""Numbers as other numbers: the digits that count, where a float runs out of them, and what is refused."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from slipstream.models.exact_numbers import (
    build_table,
    float_holds,
    number_from_text,
    plain_number,
    to_array,
    to_integer,
    with_all_digits,
)

BIG = 2**53 + 1  # the first integer that no double holds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), (" -7 ", -7), (str(BIG), BIG), ("1.5", 1.5), ("1e3", 1000.0), ("inf", float("inf"))],
)
def test_text(text: str, expected: float) -> None:
    number = number_from_text(text)
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize("text", ["", "x", "1_000", "1,5", "0x10", "9" * 5000])
def test_text_that_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        number_from_text(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (BIG, BIG),
        (3.0, 3),
        (2.0**53, None),  # it may have been 2**53 + 1
        (-(2.0**53), None),
        (2.0**53 - 1, 2**53 - 1),
        (1.5, None),
        (float("inf"), None),
        (2**63, None),
        (-(2**63), -(2**63)),
        (Decimal(BIG), BIG),
        (Decimal("0.5"), None),
        (Decimal("1e999999999"), None),
    ],
)
def test_integers(value: float, expected: int | None) -> None:
    assert to_integer(value, -(2**63), 2**63 - 1) == expected


@pytest.mark.parametrize(
    ("value", "in_double", "in_float"),
    [
        (2**24 + 1, True, False),
        (BIG, False, False),
        (2**60, True, True),
        (2**1024, False, False),
        (0, True, True),
        (-BIG, False, False),
        (0.1, True, True),  # the nearest float is what everybody means
        (1e39, True, False),  # but infinity is not
        (float("inf"), True, True),
        (float("nan"), True, True),
        (Decimal("0.1"), True, True),
        (Decimal(BIG), False, False),
    ],
)
def test_floats(value: float, in_double: bool, in_float: bool) -> None:
    assert float_holds(value, 53, 1024) is in_double
    assert float_holds(value, 24, 128) is in_float


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([BIG, None], [BIG, None]),
        ([BIG, 0.5], [BIG, 0.5]),
        ([1, None], [1.0, None]),
        ([1e20, None], [1e20, None]),
        ([2**70, None], [2**70, None]),
    ],
)
def test_tables_keep_all_digits(values: list[float | None], expected: list[float | None]) -> None:
    column = build_table(lambda **options: pd.DataFrame({"a": values}, **options))["a"]
    found = [None if pd.isna(value) else value for value in column]
    assert found == expected
    assert type(found[0]) in (type(expected[0]), np.int64)


def test_text_beside_floats_keeps_all_digits() -> None:
    column = with_all_digits(pd.Series([float(BIG), None]), pd.Series([str(BIG), None], dtype=object))
    assert str(column.dtype) == "Int64"
    assert column.tolist() == [BIG, pd.NA]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([BIG, 1.0], "int64", [BIG, 1]),
        ([[1, 2.0]], "int32", [[1, 2]]),
        (["5", str(BIG)], "int64", [5, BIG]),
        ([2**64 - 1], "uint64", [2**64 - 1]),
        ([True], "int64", [1]),
        ([2**60, 0.5], "float64", [2.0**60, 0.5]),
        ([0.1], "float32", [np.float32(0.1)]),
        (["1.5", None], "float64", [1.5, None]),
        ([1, 0.0, True], "bool", [True, False, True]),
    ],
)
def test_arrays(values: list[object], dtype: str, expected: list[object]) -> None:
    array = to_array(values, np.dtype(dtype))
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(expected, dtype=dtype))


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([BIG], "float64", f"{BIG} would change"),
        ([str(BIG), 0.5], "float64", f"{BIG} would change"),
        ([2**24 + 1], "float32", "16777217 would change"),
        ([1e39], "float32", "1e[+]39 would change"),
        ([70000.0], "float16", "70000.0 would change"),
        ([1.5], "int64", "1.5 would change"),
        ([2.0**60], "int64", "would change"),
        ([2**31], "int32", "2147483648 would change"),
        ([-1], "uint8", "-1 would change"),
        ([1, None], "int64", "null is no integer"),
        (["x"], "int64", "'x' is no number"),
        (["no"], "bool", "send true or false"),
        ([2], "bool", "2 would change"),
    ],
)
def test_arrays_that_would_change(values: list[object], dtype: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_array(values, np.dtype(dtype))


def test_scalars_of_numpy_are_plain_but_times_and_arrays_stay() -> None:
    assert type(plain_number(np.int64(3))) is int
    time = np.datetime64("2026-01-02", "ns")
    assert plain_number(time) is time
    array = np.array([1])
    assert plain_number(array) is array
