"""ISO 8601 and nothing else: no guesses, no digits lost."""

import datetime as dt

import pytest

from slipstream.models.iso_times import parse_iso


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02", (2026, 1, 2)),
        ("20260102", (2026, 1, 2)),
        ("2026-03", (2026, 3, 1)),
        ("2026", (2026, 1, 1)),
        ("2026-01-02T03:04:05", (2026, 1, 2, 3, 4, 5)),
        ("2026-01-02 03:04", (2026, 1, 2, 3, 4)),
        ("20260102T030405", (2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05.5", (2026, 1, 2, 3, 4, 5, 500_000)),
        ("2026-01-02T03:04:05.123456000", (2026, 1, 2, 3, 4, 5, 123_456)),
        ("2026-01-02T03:04:05Z", (2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05+02:00", (2026, 1, 2, 1, 4, 5)),
    ],
)
def test_iso(text: str, expected: tuple[int, int, int]) -> None:
    assert parse_iso(text) == dt.datetime(*expected)  # noqa: DTZ001  # no zone, as in a signature


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01/02/2026",
        "2026/01/02",
        "2026-1-2",
        "2 Jan 2026",
        "now",
        "today",
        "12:30",
        "1767323045",
        "2026-01-02T",
    ],
)
def test_other_forms(text: str) -> None:
    with pytest.raises(ValueError, match="no ISO 8601 time"):
        parse_iso(text)


def test_what_a_datetime_cannot_hold() -> None:
    with pytest.raises(ValueError, match="finer than a microsecond"):
        parse_iso("2026-01-02T03:04:05.123456789")
    with pytest.raises(ValueError, match="day"):
        parse_iso("2026-02-30")
