"""Which formats tables go out in, and which of them a request means."""

import enum
from collections.abc import Sequence

from slipstream.errors import InvalidParameterError


class Format(enum.StrEnum):
    ARROW = "arrow"
    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"


CONTENT_TYPES = {
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
}


def choose_format(name: str | None, accept: str | None, offered: Sequence[Format]) -> Format:
    """Return the format that a request names, else the first of those that it accepts, else the first offered.

    Raises:
        InvalidParameterError: there is no such format here.
    """
    if name is not None:
        found = next((each for each in offered if each == name.lower()), None)
        if found is None:
            raise InvalidParameterError(
                f"Invalid value '{name[:100]}' for 'format': use one of {', '.join(offered)}."
            )
        return found
    for part in (accept or "").split(","):
        wanted = part.split(";", 1)[0].strip().lower()
        for each in offered:
            if wanted == CONTENT_TYPES[each].split(";", 1)[0]:
                return each
    return offered[0]
