"""Times as ISO 8601 text. Nothing is guessed: `01/02/2026` is January to some and February to others."""

import datetime as dt
import re

_FORM = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2}))?"  # the month or the year alone
    r"|(\d{4}-\d{2}-\d{2}|\d{8})"
    r"([T ]\d{2}(:?\d{2}(:?\d{2}([.,](?P<fraction>\d{1,9}))?)?)?( ?Z|[+-]\d{2}(:?\d{2})?)?)?"
)
WAY_OUT = "Write it as 2026-01-31 or 2026-01-31T13:45:00 (ISO 8601)."


def require_iso(text: str) -> None:
    """Check the form of a time; whether the day exists is for whoever reads it.

    Raises:
        ValueError: it is of another form, or finer than a nanosecond.
    """
    if _FORM.fullmatch(text) is None:
        raise ValueError(f"{text[:80]!r} is no ISO 8601 time")


def parse_iso(text: str) -> dt.datetime:
    """Read a time as a datetime; one with a zone becomes UTC, which the types of a signature mean, without a zone.

    Raises:
        ValueError: it is no ISO 8601 time, or finer than a microsecond.
    """
    require_iso(text)
    found = _FORM.fullmatch(text)
    if found is not None and found["year"]:
        return dt.datetime(int(found["year"]), int(found["month"] or 1), 1)  # noqa: DTZ001  # see above
    if found is not None and found["fraction"] and found["fraction"][6:].strip("0"):
        raise ValueError(f"{text!r} is finer than a microsecond")
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo is None else time.astimezone(dt.UTC).replace(tzinfo=None)
