"""Put runs into groups by what they have in some columns, and say how a metric spreads in each; exact, over all of them."""

import math
from collections.abc import Sequence

from slipstream.entities.run_table import GroupsRequest, RunGroup, Spread
from slipstream.errors import InvalidParameterError

GroupKey = tuple[str | None, ...]


def spread_of(values: Sequence[float]) -> Spread:
    """Return how the finite numbers among some spread."""
    numbers = sorted(filter(math.isfinite, values))
    if not numbers:
        return Spread(count=0)
    middle = len(numbers) // 2
    median = numbers[middle] if len(numbers) % 2 else numbers[middle - 1] / 2 + numbers[middle] / 2
    try:
        mean = math.fsum(numbers) / len(numbers)
    except OverflowError:  # the sum is no double; the mean is
        mean = math.fsum(value / len(numbers) for value in numbers)
    std: float | None = None
    if len(numbers) > 1:
        try:
            std = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / (len(numbers) - 1))
        except OverflowError:
            std = None
    return Spread(
        count=len(numbers),
        mean=mean,
        median=median,
        std=std,
        min=numbers[0],
        max=numbers[-1],
    )


def find_groups(
    by: Sequence[Sequence[str | None]],
    metrics: Sequence[Sequence[float]],
    runs: int,
    request: GroupsRequest,
) -> tuple[int, list[RunGroup]]:
    """Return how many groups there are, and those that a request shows, in its order.

    Groups that have nothing of what is ordered by come last, up or down. What they have in common is ordered as numbers where all of
    it is numbers. Values of metrics are put together for the groups that are shown, and of the metric that is ordered by.

    Args:
        by: columns to group by, one value a run.
        metrics: columns of numbers, one a run.
        runs: how many runs there are.
        request: its order and window.

    Raises:
        InvalidParameterError: `order_by` is none of the request's columns.
    """
    order_by = request.order_by
    if order_by is not None and order_by not in request.metrics and order_by not in request.by:
        raise InvalidParameterError(
            f"Invalid value {order_by[:200]!r} for 'order_by': name one of 'metrics' or of 'by'."
        )
    places: dict[GroupKey, int] = {}
    of_runs = [places.setdefault(key, len(places)) for key in zip(*by, strict=True)] if runs else []
    counts = [0] * len(places)
    for place in of_runs:
        counts[place] += 1
    keys = list(places)
    order = sorted(
        range(len(keys)),
        key=lambda place: (-counts[place], [(text is None, text or "") for text in keys[place]]),
    )
    if order_by is not None:
        if order_by in request.metrics:
            lists: list[list[float]] = [[] for _ in keys]
            for place, value in zip(of_runs, metrics[request.metrics.index(order_by)], strict=True):
                lists[place].append(value)
            of_groups: list[float | str | None] = [
                getattr(spread_of(values), request.statistic) for values in lists
            ]
        else:
            of_groups = _comparable([key[request.by.index(order_by)] for key in keys])
        there = [place for place in order if of_groups[place] is not None]
        there.sort(key=of_groups.__getitem__, reverse=not request.ascending)  # type: ignore[arg-type]  # those without a value are left out
        order = there + [place for place in order if of_groups[place] is None]
    shown = order[request.offset : request.offset + request.limit]
    members: dict[int, list[int]] = {place: [] for place in shown}
    for run, place in enumerate(of_runs):
        if place in members:
            members[place].append(run)
    return len(keys), [
        RunGroup(
            keys=list(keys[place]),
            runs=counts[place],
            metrics=[spread_of([metric[run] for run in members[place]]) for metric in metrics],
        )
        for place in shown
    ]


def _comparable(texts: Sequence[str | None]) -> list[float | str | None]:
    """Return texts, or the numbers that they are if all of them are."""
    numbers = [None if text is None else _number(text) for text in texts]
    if all(text is None or number is not None for text, number in zip(texts, numbers, strict=True)):
        return list(numbers)
    return list(texts)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
