"""Windows of lists: where they begin and how long they are."""

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits

MOST_OFFSET = 10_000_000


def check_window(offset: int, limit: int, most: int) -> None:
    """Refuse windows that are none, or too long."""
    limits.check_int64(offset, "offset")
    limits.check_int64(limit, "limit")
    if not 0 <= offset <= MOST_OFFSET:
        raise InvalidParameterError(
            f"Invalid value {offset} for 'offset': it must be at least 0 and at most {MOST_OFFSET}."
        )
    if not 1 <= limit <= most:
        raise InvalidParameterError(
            f"Invalid value {limit} for 'limit': it must be at least 1 and at most {most}."
        )
