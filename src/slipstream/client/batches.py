"""One large batch as several requests. Params go first, since they are what can clash: then no points are left behind."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from slipstream.entities import Metric, Param, RunTag
from slipstream.rules import limits

_REQUEST_BYTES = 4 * 2**20
"""JSON of one request to a slipstream server. It takes more, but other writers wait while it stores this."""
_ENTRY_BYTES = 200
"""JSON of one entry besides its texts, generously."""

T = TypeVar("T", Metric, Param, RunTag)


class Batch(NamedTuple):
    metrics: Sequence[Metric]
    params: Sequence[Param]
    tags: Sequence[RunTag]


def fits_mlflow(batch: Batch) -> bool:
    """Tell whether MLflow's `runs/log-batch` takes all of it at once."""
    return (
        len(batch.params) <= limits.BATCH_PARAMS
        and len(batch.tags) <= limits.BATCH_TAGS
        and sum(map(len, batch)) <= limits.BATCH_TOTAL
    )


def cut_for_mlflow(batch: Batch) -> Iterator[Batch]:
    """Return batches of MLflow's size: at most 1,000 values with 100 params and 100 tags."""
    points, params, tags = batch
    while points or params or tags:
        some_params, some_tags = params[: limits.BATCH_PARAMS], tags[: limits.BATCH_TAGS]
        params = params[len(some_params) :]
        tags = tags[len(some_tags) :]
        room = limits.BATCH_TOTAL - len(some_params) - len(some_tags)
        # Points wait until the last params are in, so that a clash leaves none behind.
        some_points = points[: 0 if params else room]
        points = points[len(some_points) :]
        yield Batch(some_points, some_params, some_tags)


def cut_by_bytes(batch: Batch, size: int = _REQUEST_BYTES) -> Iterator[Batch]:
    """Return batches of some megabytes, of any count."""
    params = list(_cut(batch.params, size))
    tags = list(_cut(batch.tags, size))
    points = list(_cut(batch.metrics, size))
    if len(params) + len(tags) + len(points) <= 3 and sum(map(_bytes, (*params, *tags, *points))) <= size:
        yield batch
        return
    for some in params:
        yield Batch((), some, ())
    for some in tags:
        yield Batch((), (), some)
    for some in points:
        yield Batch(some, (), ())


def _cut(entries: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    start = taken = 0
    for index, entry in enumerate(entries):
        needed = _size(entry)
        if taken and taken + needed > size:
            yield entries[start:index]
            start, taken = index, 0
        taken += needed
    if taken:
        yield entries[start:]


def _bytes(entries: Sequence[Metric] | Sequence[Param] | Sequence[RunTag]) -> int:
    return sum(map(_size, entries))


def _size(entry: Metric | Param | RunTag) -> int:
    # A character outside of ASCII takes up to six bytes in JSON, one inside seldom more than one.
    texts = entry.key if isinstance(entry, Metric) else entry.key + entry.value
    return _ENTRY_BYTES + (len(texts) if texts.isascii() else 6 * len(texts))
