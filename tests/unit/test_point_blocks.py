"""The bytes of blocks of metric points: nothing is changed by them, and damage is found."""

import math
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.db.point_blocks import (
    Block,
    Columns,
    Point,
    Points,
    collect,
    each_series,
    encode,
    encode_small,
    in_order,
    join,
    merged,
    place_of,
    rename_series,
)
from slipstream.errors import DamagedDatabaseError

INT64 = st.integers(-(2**63), 2**63 - 1)
STEPS = st.one_of(st.integers(-3, 20), INT64)
TIMES = st.one_of(st.integers(0, 5), st.integers(0, 2**63 - 1))
VALUES = st.one_of(st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324]), st.floats())
POINT = st.tuples(TIMES, STEPS, VALUES)
BY_SERIES = st.dictionaries(
    st.integers(1, 2**62), st.lists(POINT, min_size=1, max_size=60), min_size=1, max_size=6
)


def exact(points: Points) -> list[tuple[int, int, str]]:
    """Points in a form that compares NaN with NaN, and 0 with -0 as equal."""
    return [
        (time, step, "nan" if math.isnan(value) else (value + 0.0).hex())
        for time, step, value in zip(*points, strict=True)
    ]


def model(points: list[Point]) -> list[tuple[int, int, str]]:
    places = sorted({place_of(point) for point in points})
    return [(time, step, "nan" if is_nan else (value + 0.0).hex()) for time, step, value, is_nan in places]


def contents(columns: Columns) -> dict[int, list[tuple[int, int, str]]]:
    return {series: exact(points) for series, points in each_series(columns)}


@given(BY_SERIES)
def test_a_block_gives_back_what_it_was_made_of(by_series: dict[int, list[Point]]) -> None:
    expected = {series: model(points) for series, points in by_series.items()}
    block = Block(encode(collect(by_series)))
    assert contents(block.columns()) == expected
    assert block.points == sum(map(len, expected.values()))
    for series in by_series:
        found = block.find(series)
        assert found is not None
        assert exact(found) == expected[series]
    assert block.find(max(by_series) + 1) is None
    assert block.find(0) is None


@given(st.integers(1, 300), st.integers(-(2**62), 2**62), st.integers(-(2**40), 2**40), st.integers(1, 8))
def test_even_steps_of_several_series_come_back(count: int, first: int, difference: int, series: int) -> None:
    by_series = {
        number + 1: [(index, first + number + difference * index, index / 7) for index in range(count)]
        for number in range(series)
    }
    block = Block(encode(collect(by_series)))
    assert contents(block.columns()) == {key: model(points) for key, points in by_series.items()}
    last = block.find(series)
    assert last is not None
    assert exact(last) == model(by_series[series])


@given(st.lists(POINT, min_size=1, max_size=63))
def test_the_short_way_writes_the_same_bytes(points: list[Point]) -> None:
    own = in_order(points)
    assert encode_small(7, own) == encode(collect({7: own}))


@given(st.lists(BY_SERIES, min_size=1, max_size=5))
def test_blocks_are_joined_to_all_points_each_once(blocks: list[dict[int, list[Point]]]) -> None:
    together: dict[int, list[Point]] = {}
    for block in blocks:
        for series, points in block.items():
            together.setdefault(series, []).extend(points)
    encoded = [encode(collect({key: list(points) for key, points in block.items()})) for block in blocks]
    assert contents(join(encoded)) == {series: model(points) for series, points in together.items()}


@given(st.lists(st.lists(POINT, max_size=40), max_size=5))
def test_parts_of_one_series_are_merged_in_order(parts: list[list[Point]]) -> None:
    columns = [collect({1: part}).points for part in parts if part]
    assert exact(merged(columns)) == model([point for part in parts for point in part])


def test_many_series_with_few_points_are_joined_like_any_others() -> None:
    draw = random.Random(4)
    blocks = [
        {series: [(draw.randrange(5), draw.randrange(5), float("nan"))] for series in range(1, 200)}
        for _ in range(12)
    ]
    together = {series: [block[series][0] for block in blocks] for series in range(1, 200)}
    joined = join(encode(collect(block)) for block in blocks)
    assert contents(joined) == {series: model(points) for series, points in together.items()}


def typical(count: int) -> Points:
    """Noise around a curve, logged about every 100 ms."""
    draw = random.Random(1)
    time = 1_760_000_000_000
    times = array("q")
    for _ in range(count):
        time += draw.randint(80, 130)
        times.append(time)
    values = array("d", (math.exp(-step / 3000) + draw.gauss(0, 0.01) for step in range(count)))
    return Points(times, array("q", range(count)), values)


def test_a_full_block_needs_fewer_than_nine_bytes_a_point() -> None:
    content = encode(Columns(array("q", (1,)), array("q", (8192,)), typical(8192)))
    assert len(content) / 8192 < 9


@pytest.mark.parametrize("count", [1, 20, 300])
def test_damage_is_found_or_harmless_and_never_anything_else(count: int) -> None:
    series = Columns(array("q", (3, 9)), array("q", (count, count)), Points(*(c + c for c in typical(count))))
    content = encode(series)
    draw = random.Random(2)
    found = 0
    for _ in range(400):
        damaged = bytearray(content)
        place = draw.randrange(len(damaged))
        damaged[place] ^= 1 << draw.randrange(8)
        try:
            block = Block(bytes(damaged))
            block.columns()
            block.find(3)
            join([bytes(damaged), content])
        except DamagedDatabaseError:
            found += 1
    assert found > 0
    if count == 300:  # compressed blocks carry a checksum
        assert found > 390
    for length in range(len(content) if count < 300 else 60):
        with pytest.raises(DamagedDatabaseError):
            Block(content[:length])


def test_a_header_that_claims_a_giant_is_refused_before_memory_is_taken() -> None:
    content = encode(collect({1: [(1, 1, 1.0)]}))
    with pytest.raises(DamagedDatabaseError, match="claims to hold"):
        Block(content[:8] + b"\xff\xff\xff\xff" + content[12:])


def test_a_block_of_a_newer_version_says_so() -> None:
    content = encode(collect({1: [(1, 1, 1.0)]}))
    with pytest.raises(DamagedDatabaseError, match="version 2.*Upgrade slipstream"):
        Block(b"\2" + content[1:])


@given(BY_SERIES, st.randoms(use_true_random=False))
def test_series_get_other_ids(by_series: dict[int, list[Point]], dice: random.Random) -> None:
    expected = {series: model(points) for series, points in by_series.items()}
    ids = dice.sample(range(2**62, 2**62 + 100), len(by_series))
    renamed = {series: new for series, new in zip(by_series, ids, strict=True) if dice.random() < 0.8}
    content, found = rename_series(encode(collect(by_series)), renamed)
    block = Block(content)
    assert list(block.series) == list(found) == sorted(renamed.get(series, series) for series in by_series)
    assert contents(block.columns()) == {renamed.get(series, series): own for series, own in expected.items()}


def test_ids_in_the_same_order_are_only_written_anew() -> None:
    by_series = {series: [(step, step, float(step)) for step in range(100)] for series in (1, 2)}
    content = encode(collect(by_series))
    renamed, _ = rename_series(content, {1: 7, 2: 9})
    assert contents(Block(renamed).columns())[9] == model(by_series[2])
    assert len(renamed) < len(content) + 10
    damaged = bytes(renamed[:-4]) + bytes(4)
    with pytest.raises(DamagedDatabaseError):
        Block(damaged)
