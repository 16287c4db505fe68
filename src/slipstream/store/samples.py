"""An even sample of a metric's points, by position: MLflow's buckets."""

import operator
from array import array
from bisect import bisect_left, bisect_right

from slipstream.db.point_blocks import Points


def sample(points: Points, most: int, first_step: int | None = None, last_step: int | None = None) -> Points:
    """Return at most `most` points by (step, timestamp, value): the first of each of `most` buckets, and the last point.

    The first (n mod most) buckets hold one point more than the others, as SQL's NTILE makes them.
    """
    points = _by_step(points)
    first = 0 if first_step is None else bisect_left(points.steps, first_step)
    end = len(points.steps) if last_step is None else bisect_right(points.steps, last_step)
    count = end - first
    if count <= most:
        return points.part(first, end)
    size, larger = divmod(count, most)
    places = [*range(0, larger * (size + 1), size + 1), *range(larger * (size + 1), count, size)]
    places[-1] = count - 1
    return _pick(points, [first + place for place in places])


def _by_step(points: Points) -> Points:
    steps = points.steps
    if all(map(operator.le, steps, steps[1:])):  # then the order of time is that of steps, too
        return points
    return _pick(points, sorted(range(len(steps)), key=lambda place: _rank(points, place)))


def _rank(points: Points, place: int) -> tuple[int, int, float, bool]:
    timestamp, step, value, is_nan = points.place(place)
    return step, timestamp, value, is_nan


def _pick(points: Points, places: list[int]) -> Points:
    return Points(
        array("q", [points.timestamps[place] for place in places]),
        array("q", [points.steps[place] for place in places]),
        array("d", [points.values[place] for place in places]),
    )
