"""The time, in the one unit that the whole system uses."""

import re
import time

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)
_UNITS = (86_400_000, 3_600_000, 60_000, 1_000)
LONGEST_DURATION = 365_000 * 86_400_000
"""In milliseconds; databases and dates of systems end somewhere beyond."""


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def parse_duration(text: str) -> int:
    """Return the milliseconds of a duration such as `30d`, `1d2h` or `1.5h30m`.

    Raises:
        ValueError: it has another form, or is longer than a thousand years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match[0]:
        raise ValueError(
            f"'{text[:50]}' is no duration; write days, hours, minutes and seconds such as 30d or 1d2h"
        )
    milliseconds = sum(float(number or 0) * unit for number, unit in zip(match.groups(), _UNITS, strict=True))
    if milliseconds > LONGEST_DURATION:
        raise ValueError(f"'{text[:50]}' is longer than 365000d, which is a thousand years")
    return round(milliseconds)
