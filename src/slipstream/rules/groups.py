"""Put runs into groups by what they have in some columns, and say how a metric spreads in each; exact, over all of them."""

import math
from collections.abc import Sequence

from slipstream.entities.run_table import Spread

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
