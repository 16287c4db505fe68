"""Between what numbers the children of each row of a table lie: what a parent's row tells of runs that are not opened."""

import math
from collections.abc import Sequence

from slipstream.entities.run_table import Span


def child_ranges(
    parents: Sequence[str],
    run_ids: Sequence[str],
    parent_of: Sequence[str | None],
    columns: Sequence[Sequence[float]],
) -> list[list[Span | None]]:
    """Return, for each column, the smallest and largest finite number among the children of each parent.

    Args:
        parents: ids of the rows.
        run_ids: ids of all found runs.
        parent_of: of each of them, the id of its parent. A run that names itself is no child.
        columns: numbers of each of them, NaN where there is none.
    """
    places = {run_id: place for place, run_id in enumerate(parents)}
    below: list[tuple[int, int]] = []
    for number, parent in enumerate(parent_of):
        place = None if parent is None else places.get(parent)
        if place is not None and run_ids[number] != parent:
            below.append((number, place))
    found: list[list[Span | None]] = []
    for values in columns:
        spans: list[Span | None] = [None] * len(parents)
        for number, place in below:
            value = values[number]
            if not math.isfinite(value):
                continue
            span = spans[place]
            spans[place] = (value, value) if span is None else (min(span[0], value), max(span[1], value))
        found.append(spans)
    return found
