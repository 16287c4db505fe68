"""Rows of Parquet files in the browser: every way to pack them, every kind of value, other windows of rows, and files that would hurt."""

import datetime
import decimal
import io
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from logged_run import log_run
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient

pyarrow = pytest.importorskip("pyarrow", reason="Parquet files are made by pyarrow")

OpenPage = Callable[..., Page]
CODECS = ("none", "snappy", "gzip", "zstd")
LONG = 25_000
TOO_MANY = 21_000_000
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp"


def written(columns: dict[str, Any], **options: Any) -> bytes:
    from pyarrow import parquet

    target = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), target, **options)
    return target.getvalue()


def values() -> dict[str, Any]:
    day = datetime.datetime(2026, 11, 27, 2, 30, tzinfo=datetime.UTC)
    return {
        "whole": pyarrow.array([9_007_199_254_740_993, None, -1]),
        "real": pyarrow.array([0.5, float("nan"), 1e300]),
        "text": pyarrow.array([HOSTILE, "", "grüße"]),
        "when": pyarrow.array([day, None, day], pyarrow.timestamp("us", "UTC")),
        "price": pyarrow.array([decimal.Decimal("1.25"), None, None], pyarrow.decimal128(9, 2)),
        "list": pyarrow.array([[1, 2], [], None]),
        "struct": pyarrow.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": []}]),
        "kind": pyarrow.array(["a", "b", "a"]).dictionary_encode(),
        "bytes": pyarrow.array([b"\x00\xff", None, b""]),
        "true": pyarrow.array([True, False, None]),
    }


@pytest.fixture(scope="module")
def run(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the files of a run."""
    files = {f"{codec}.parquet": written(values(), compression=codec) for codec in CODECS}
    files["v2.parquet"] = written(values(), data_page_version="2.0", compression="zstd")
    numbers = pyarrow.array(range(LONG), pyarrow.int64())
    files["long.parquet"] = written({"number": numbers}, row_group_size=4_000)
    files["wide.parquet"] = written({f"c{number:03}": [number] for number in range(230)})
    zeros = pyarrow.nulls(TOO_MANY, pyarrow.int8())
    files["bomb.parquet"] = written({"zero": zeros}, row_group_size=TOO_MANY)
    good = files["none.parquet"]
    files["broken.parquet"] = good[:4] + bytes(120) + good[124:]
    files["brotli.parquet"] = written({"a": [1]}, compression="brotli")
    run_id = log_run(SlipstreamClient(server.url), tmp_path_factory.mktemp("files"), files)
    return f"/experiments/0/runs/{run_id}/artifacts"


Show = Callable[..., Locator]


def cells(preview: Locator, row: int) -> list[str]:
    return preview.get_by_role("grid").get_by_role("row").nth(row).get_by_role("gridcell").all_inner_texts()


@pytest.mark.parametrize("name", [*(f"{codec}.parquet" for codec in CODECS), "v2.parquet"])
def test_rows_are_shown_however_they_are_packed(show: Show, name: str) -> None:
    preview = show(name, viewport={"width": 2400, "height": 900})
    expect(preview).to_contain_text("3 rows, 10 columns")

    when = "2026-11-27T02:30:00.000Z"
    seen = "<img src=x onerror=alert(1)>⟨202E⟩gnp"
    struct = '{"a":1,"b":["x"]}'
    assert cells(preview, 1) == [
        *("1", "9007199254740993", "0.5", seen, when, "1.25", "[1,2]", struct, "a", "00ff", "true"),
    ]
    assert cells(preview, 2) == ["2", "", "NaN", "", "", "", "[]", "", "b", "", "false"]
    assert cells(preview, 3)[:4] == ["3", "-1", "1e+300", "grüße"]


def test_other_rows_are_gone_to_by_their_number(show: Show, violations: Callable[[Page], list[str]]) -> None:
    preview = show("long.parquet")
    page = preview.page
    read: list[str] = []
    page.on(
        "request", lambda request: "get-artifact" in request.url and read.append(request.headers["range"])
    )
    expect(preview).to_contain_text("Rows 1 to 10,000 of 25,000")
    expect(preview.get_by_role("button", name="Earlier rows")).to_be_disabled()
    assert violations(page) == []

    preview.get_by_role("button", name="Later rows").click()
    expect(preview).to_contain_text("Rows 10,001 to 20,000 of 25,000")
    assert cells(preview, 1) == ["10001", "10000"]
    preview.get_by_label("from").fill("24999")
    preview.get_by_label("from").press("Enter")
    expect(preview).to_contain_text("Rows 24,999 to 25,000 of 25,000")
    assert cells(preview, 2) == ["25000", "24999"]
    expect(preview.get_by_role("button", name="Later rows")).to_be_disabled()
    last = [int(part) for part in read[-1].removeprefix("bytes=").split("-")]
    assert last[1] - last[0] < 40_000  # the last group of rows, not the file


def test_of_many_columns_the_first_are_shown(show: Show) -> None:
    preview = show("wide.parquet")
    expect(preview).to_contain_text("1 row, 200 columns")
    expect(preview.get_by_role("note")).to_contain_text("30 columns are not shown")
    expect(preview.get_by_role("note")).to_contain_text("c200, c201")


def test_small_files_of_very_many_values_are_not_unpacked(show: Show) -> None:
    preview = show("bomb.parquet", faults=False)
    expect(preview.get_by_role("alert")).to_contain_text("larger than a page unpacks")
    expect(preview).to_contain_text("21,000,000 rows")
    expect(preview).to_contain_text("pandas.read_parquet")


def test_broken_and_unknown_ones_say_so_and_tell_their_columns(show: Show) -> None:
    for name, reason in (("broken.parquet", "could not be unpacked"), ("brotli.parquet", "BROTLI")):
        preview = show(name, faults=False)
        expect(preview.get_by_role("alert")).to_contain_text(reason)
        expect(preview.get_by_role("region", name="Columns").get_by_role("row").nth(1)).to_be_visible()
