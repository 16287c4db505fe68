"""Part what can be kept from what cannot, so that one bad value does not cost the run that it is in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from slipstream.entities import LoggedModel, Metric, Run
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names
from slipstream.store.imports import UNFINISHED_TAG

Fail = Callable[[str, object], None]
"""Told the part and the reason."""


def sift_points(points: Sequence[Metric], fail: Fail) -> Sequence[Metric]:
    """Return the points that can be stored, in the order given."""
    for point in points:
        if (
            type(point.value) is not float
            or type(point.step) is not int
            or type(point.timestamp) is not int
            or type(point.key) is not str
            or point.timestamp < 0
            or not -(2**63) <= point.step < 2**63
            or point.timestamp >= 2**63
        ):
            return _sift_slowly(points, fail)
    keys = {point.key for point in points}
    if all(_is_key(key) for key in keys):
        return points
    return _sift_slowly(points, fail)


def _sift_slowly(points: Sequence[Metric], fail: Fail) -> list[Metric]:
    kept: list[Metric] = []
    for point in points:
        try:
            kept.append(_checked(point))
        except InvalidParameterError as error:
            fail(f"metric '{ascii(point.key)[1:-1][:100]}'", error)
    return kept


def _checked(point: Metric) -> Metric:
    names.check_key(point.key, "key")
    limits.check_int64(point.step, "step")
    limits.check_int64(point.timestamp, "timestamp")
    if point.timestamp < 0:
        raise InvalidParameterError(
            f"The point at step {point.step} has the negative timestamp {point.timestamp}."
        )
    value: Any = point.value
    if type(value) is int:  # SQLite keeps whole numbers as such
        return msgspec.structs.replace(point, value=float(value))
    if type(value) is not float:
        raise InvalidParameterError(
            f"The point at step {point.step} has the value {ascii(value)[:100]}, which is no number."
        )
    return point


def _is_key(key: str) -> bool:
    try:
        names.check_key(key, "key")
    except InvalidParameterError:
        return False
    return True


def sift_run(run: Run, fail: Fail) -> Run:
    """Return the run with those params, tags and inputs that can be stored."""
    params = _sift_pairs(run.data.params, "param", fail)
    tags = _sift_pairs(run.data.tags, "tag", fail)
    tags.pop(UNFINISHED_TAG, None)  # it says something about another store
    if params.keys() == run.data.params.keys() and tags.keys() == run.data.tags.keys():
        return run
    data = msgspec.structs.replace(run.data, params=params, tags=tags)
    return msgspec.structs.replace(run, data=data)


def sift_logged_model(model: LoggedModel, fail: Fail) -> LoggedModel:
    """Return the model with those params, tags and points that can be stored."""
    return msgspec.structs.replace(
        model,
        params=_sift_pairs(model.params, "param", fail),
        tags=_sift_pairs(model.tags, "tag", fail),
        metrics=list(sift_points(model.metrics, fail)),
    )


def sift_tags(tags: Mapping[str, str], fail: Fail) -> dict[str, str]:
    return _sift_pairs(tags, "tag", fail)


def _sift_pairs(pairs: Mapping[str, str], what: str, fail: Fail) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        try:
            names.check_key(key, "key")
            names.check_text(value, "value")
        except InvalidParameterError as error:
            fail(f"{what} '{ascii(key)[1:-1][:100]}'", error)
        else:
            kept[key] = value
    return kept


def count_points(pieces: Iterable[Sequence[Metric]]) -> int:
    return sum(len(piece) for piece in pieces)
