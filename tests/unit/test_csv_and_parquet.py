"""Tables as CSV and Parquet in the scoring protocol. Seen on MLflow 3.17.2 unless a test says so."""

import base64
import io
import math

import pandas as pd
import pytest

from scoring_requests import BIG, DOUBLES, predicted, read, same_frame, served
from slipstream.errors import BadRequestError
from slipstream.models.schema import (
    ColSpec,
)
from slipstream.serving.protocols import invocations


def test_csv() -> None:
    same_frame(read(served(*DOUBLES), b"a,b\n1,2.5\n", "text/csv"), {"a": [1.0], "b": [2.5]})


def test_csv_keeps_text_as_text() -> None:
    model = served(ColSpec("string", "zip"), ColSpec("datetime", "t"), ColSpec("long", "n"))
    frame = read(model, b"zip,t,n\n007,2020-01-01,3\n", "text/csv")
    assert frame["zip"].tolist() == ["007"]
    assert frame["t"].tolist() == [pd.Timestamp("2020-01-01")]
    assert frame["n"].tolist() == [3]


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "no CSV table"), (b"a\n\xff\n", "not valid UTF-8"), (b"a,b\nx,1\n", "column 'a'")],
)
def test_csv_that_cannot_be_read(body: bytes, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(served(*DOUBLES), body, "text/csv")


TABLE = (ColSpec("double", "a"), ColSpec("double", "b"))


@pytest.mark.parametrize(
    ("body", "a", "b"),
    [
        ("a,b\n1,2\n", [1.0], [2.0]),
        ("b,a\n1,2\n", [2.0], [1.0]),
        ("a,b\n1\n", [1.0], [None]),  # what is not there is missing, as in MLflow
        ("a,b\n1,2\n3\n", [1.0, 3.0], [2.0, None]),
        ("a,b\n1,\n,2\n", [1.0, None], [None, 2.0]),
        ("a,b\n\n1,2\n\n", [1.0], [2.0]),
        ("a,b\n", [], []),
        ("a,b\ninf,-Infinity\n", [math.inf], [-math.inf]),
    ],
)
def test_csv_rows(body: str, a: list[object], b: list[object]) -> None:
    frame = predicted(TABLE, body.encode(), "text/csv")
    assert [None if pd.isna(value) else value for value in frame["a"]] == a
    assert [None if pd.isna(value) else value for value in frame["b"]] == b


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "a,b\n1,2,3\n",
            "Expected 2 fields in line 2, saw 3",
        ),  # MLflow moves each value a column to the left
        ("a,b\n1,2,\n3,4,\n", "Expected 2 fields in line 2, saw 3"),
        ("a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ("a,b\n1700000000000000001,2\n", "column 'a', row 0 .*1700000000000000001"),
        ("a,b\n0.5,2\n1700000000000000001,2\n", "column 'a', row 1 .*1700000000000000001"),
    ],
)
def test_csv_rows_that_do_not_fit(body: str, message: str) -> None:
    answer = invocations.answer(served(*TABLE), body.encode(), "text/csv")
    assert answer.status == 400
    with pytest.raises(BadRequestError, match=message):
        read(served(*TABLE), body.encode(), "text/csv")


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("long", [str(BIG), ""], [BIG, None]),
        ("long", ["1.0", "NA"], [1, None]),
        ("boolean", ["True", "false"], [True, False]),
        ("boolean", ["1", "0"], [True, False]),
        ("boolean", ["True", ""], [True, None]),
        ("boolean", ["1", ""], [True, None]),
        ("string", ["NA", "null", "", "007"], ["NA", "null", None, "007"]),  # MLflow drops the first two
        ("binary", ["null"], [base64.b64decode("null")]),
        ("datetime", ["2026-01-02", "2026-01-02T03:04:05", ""], None),
        ("double", ["NA", "nan", "1.5"], [None, None, 1.5]),
    ],
)
def test_csv_columns(column: str, cells: list[str], expected: list[object] | None) -> None:
    body = "a,other\n" + "".join(f"{cell},text\n" for cell in cells)
    schema = (ColSpec(column, "a", required=False), ColSpec("string", "other"))
    found = [None if pd.isna(value) else value for value in predicted(schema, body.encode(), "text/csv")["a"]]
    if expected is None:
        expected = [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-01-02T03:04:05"), None]
    assert found == expected


@pytest.mark.parametrize(
    ("column", "cell"),
    [("long", "1.5"), ("long", ""), ("boolean", "yes"), ("boolean", ""), ("datetime", "01/02/2026")],
)
def test_csv_cells_of_the_wrong_type_name_the_column(column: str, cell: str) -> None:
    body = f"a,b\n{cell},1\n".encode()
    with pytest.raises(BadRequestError, match="column 'a', row 0"):
        read(served(ColSpec(column, "a")), body, "text/csv")


def test_csv_without_a_signature_keeps_big_integers() -> None:
    frame = read(served(), f"a,b\n{BIG},1\n,2\n".encode(), "text/csv")
    assert frame["a"].tolist() == [BIG, pd.NA]
    assert frame["b"].tolist() == [1, 2]


def test_parquet() -> None:
    file = io.BytesIO()
    pd.DataFrame({"a": [1.5]}).to_parquet(file)
    same_frame(read(served(), file.getvalue(), invocations.PARQUET), {"a": [1.5]})
    with pytest.raises(BadRequestError, match="no Parquet table"):
        read(served(), b"xx", invocations.PARQUET)
