"""What readers of a series see: the same points as its columns, in sequences that cost less."""

import math

from hypothesis import given
from hypothesis import strategies as st

from slipstream.db.point_blocks import Block, Point, Sight, collect, encode, seen
from slipstream.store.samples import in_step_order

POINT = st.tuples(
    st.integers(0, 40), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False) | st.just(math.nan)
)
EVEN = st.builds(
    lambda first, difference, count: [(index, first + difference * index, 0.5) for index in range(count)],
    st.integers(-100, 100),
    st.integers(-3, 3),
    st.integers(1, 150),
)


def shown(points: Sight) -> list[tuple[int, int, str]]:
    return [(time, step, str(value)) for time, step, value in zip(*points, strict=True)]


@given(st.dictionaries(st.integers(1, 9), st.lists(POINT, min_size=1, max_size=80) | EVEN, min_size=1))
def test_a_reader_sees_what_the_columns_hold(by_series: dict[int, list[Point]]) -> None:
    block = Block(encode(collect(by_series)))
    for series in by_series:
        look, find = block.look(series), block.find(series)
        assert look is not None
        assert find is not None
        assert shown(look) == shown(Sight(*find))
        assert seen([look]).place(-1) == find.place(-1)
    assert block.look(10) is None


def even(first: int, count: int) -> Sight:
    points = [(step * 100, step, step / 7) for step in range(first, first + count)]
    look = Block(encode(collect({1: points}))).look(1)
    assert look is not None
    return look


def test_even_steps_of_many_blocks_stay_a_range() -> None:
    points = seen([even(500, 500), even(0, 500), even(1000, 70)])
    assert points.steps == range(1070)
    assert list(points.timestamps) == [step * 100 for step in range(1070)]
    assert in_step_order(points)


def test_steps_with_a_gap_are_a_list_and_those_that_overlap_are_sorted() -> None:
    gap = seen([even(0, 100), even(200, 100)])
    assert list(gap.steps) == [*range(100), *range(200, 300)]
    both = seen([even(0, 100), even(50, 100)])
    assert list(both.steps) == list(range(150))


def test_nothing_is_seen_as_nothing() -> None:
    assert shown(seen([])) == []
