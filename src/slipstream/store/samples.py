"""An even sample of a metric's points, by position: MLflow's buckets."""

import operator
from array import array
from bisect import bisect_left, bisect_right

from slipstream.db.point_blocks import Sight
from slipstream.rules.series import sample_positions


def sample(points: Sight, most: int, first_step: int | None = None, last_step: int | None = None) -> Sight:
    """Return at most `most` points by (step, timestamp, value), evenly spread by position."""
    points = _by_step(points)
    first = 0 if first_step is None else bisect_left(points.steps, first_step)
    end = len(points.steps) if last_step is None else bisect_right(points.steps, last_step)
    count = end - first
    if count <= most:
        return points.part(first, end)
    places = sample_positions(count, most)
    return _pick(points, [first + place for place in places])


def in_step_order(points: Sight) -> bool:
    """Tell whether steps never go down with time; then the order by place is that by (step, timestamp, value), too."""
    steps = points.steps
    if isinstance(steps, range):
        return steps.step > 0
    return all(map(operator.le, steps, steps[1:]))


def _by_step(points: Sight) -> Sight:
    if in_step_order(points):
        return points
    return _pick(points, sorted(range(len(points.steps)), key=lambda place: _rank(points, place)))


def _rank(points: Sight, place: int) -> tuple[int, int, float, bool]:
    timestamp, step, value, is_nan = points.place(place)
    return step, timestamp, value, is_nan


def _pick(points: Sight, places: list[int]) -> Sight:
    return Sight(
        array("q", [points.timestamps[place] for place in places]),
        array("q", [points.steps[place] for place in places]),
        array("d", [points.values[place] for place in places]),
    )
