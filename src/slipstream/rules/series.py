"""Which series and points a request for histories means."""

import fnmatch
import re
from collections.abc import Sequence

from slipstream.entities import SeriesFilter
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

_WILD = re.compile(r"[*?\[]")


def check_series_request(
    run_ids: Sequence[str], keys: Sequence[str] | None, wanted: SeriesFilter | None
) -> tuple[list[str], SeriesFilter]:
    """Return runs, each once, and the whole filter.

    Raises:
        InvalidParameterError: a value is none of its kind.
    """
    if isinstance(run_ids, str) or isinstance(keys, str):
        raise InvalidParameterError("'run_ids' and 'keys' must be lists; put the text into one: [text].")
    for run_id in run_ids:
        names.check_text(run_id, "run_ids")
    wanted = wanted or SeriesFilter()
    patterns = wanted.keys if keys is None else tuple(keys)
    for pattern in patterns or ():
        names.check_text(pattern, "keys")
    for field, step in (("start_step", wanted.start_step), ("end_step", wanted.end_step)):
        if step is not None:
            limits.check_int64(step, field)
    most = wanted.max_points
    if most is not None:
        limits.check_int64(most, "max_points")
        if not 1 <= most <= limits.SERIES_POINTS:
            raise InvalidParameterError(
                f"Invalid value {most} for 'max_points': give 1 to {limits.SERIES_POINTS}, or leave it out for all "
                "points."
            )
    checked = SeriesFilter(
        keys=patterns, start_step=wanted.start_step, end_step=wanted.end_step, max_points=most
    )
    return list(dict.fromkeys(run_ids)), checked


def is_pattern(key: str) -> bool:
    """Tell whether a text means several keys: no key can hold `*`, `?` or `[`."""
    return _WILD.search(key) is not None


def is_wanted(key: str, patterns: Sequence[str] | None) -> bool:
    """Tell whether a key is one of those asked for; `*` stands for slashes, too."""
    return patterns is None or any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)


def sample_positions(total: int, most: int) -> list[int]:
    """Return at most `most` of the positions `0...total - 1`, evenly spread and in order.

    They are those of MLflow's interval sampling: the first of each of `most` buckets, of which the first ones hold
    one point more where it does not come out even; the last point takes the place of the last sample.
    """
    if total <= most:
        return list(range(total))
    size, larger = divmod(total, most)
    positions = [bucket * size + min(bucket, larger) for bucket in range(most)]
    positions[-1] = total - 1
    return positions
