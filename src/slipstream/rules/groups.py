"""Put runs into groups by what they have in some columns, and say how a metric spreads in each; exact, over all of them."""

import math
from collections.abc import Sequence

from slipstream.entities.run_table import GroupsRequest, RunGroup, Spread
from slipstream.errors import InvalidParameterError

GroupKey = tuple[str | None, ...]


def group_cells(
    by: Sequence[Sequence[str | None]], metrics: Sequence[Sequence[float]], runs: int
) -> list[tuple[GroupKey, int, list[list[float]]]]:
    """Return groups, those of most runs first: what they have in common, how many runs, and the values of each metric.

    Args:
        by: columns to group by, one value a run.
        metrics: columns of numbers, one a run.
        runs: how many runs there are.
    """
    places: dict[GroupKey, int] = {}
    keys: list[GroupKey] = list(zip(*by, strict=True)) if runs else []
    of_runs = [places.setdefault(key, len(places)) for key in keys]
    counts = [0] * len(places)
    for place in of_runs:
        counts[place] += 1
    values: list[list[list[float]]] = [[[] for _ in metrics] for _ in places]
    for number, metric in enumerate(metrics):
        lists = [values[place][number] for place in range(len(places))]
        for place, value in zip(of_runs, metric, strict=True):
            lists[place].append(value)
    groups = [(key, counts[place], values[place]) for key, place in places.items()]
    groups.sort(key=lambda group: (-group[1], [(text is None, text or "") for text in group[0]]))
    return groups


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


def order_groups(groups: Sequence[RunGroup], request: GroupsRequest) -> list[RunGroup]:
    """Return groups in the order that a request wants; those that have nothing there come last, up or down.

    What groups have in common is ordered as numbers where all of it is numbers.

    Raises:
        InvalidParameterError: it is none of the request's columns.
    """
    order_by = request.order_by
    if order_by is None:
        return list(groups)
    values: list[float | str | None]
    if order_by in request.metrics:
        place = request.metrics.index(order_by)
        values = [getattr(group.metrics[place], request.statistic) for group in groups]
    elif order_by in request.by:
        place = request.by.index(order_by)
        texts = [group.keys[place] for group in groups]
        numbers = [None if text is None else _number(text) for text in texts]
        all_numbers = all(
            text is None or number is not None for text, number in zip(texts, numbers, strict=True)
        )
        values = list(numbers if all_numbers else texts)
    else:
        raise InvalidParameterError(
            f"Invalid value {order_by[:200]!r} for 'order_by': name one of 'metrics' or of 'by'."
        )
    pairs = list(zip(values, groups, strict=True))
    there = [pair for pair in pairs if pair[0] is not None]
    there.sort(key=lambda pair: pair[0], reverse=not request.ascending)  # type: ignore[arg-type,return-value]
    return [group for _, group in there] + [group for value, group in pairs if value is None]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
