"""Lines for charts: what each pixel column holds is what a loop over all points finds; nothing that stands out is lost."""

import json
import math
import random
import struct
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipstream.api.envelopes import AxisMessage, FindEnvelopesResponse, find_envelopes
from slipstream.api.envelopes import FindEnvelopes as Asked
from slipstream.entities.envelope import EncodedEnvelopes, Envelope
from slipstream.rules.envelope import Line, LineCutter, OutOfOrderError, Smoother, column_width
from slipstream.wire.short_numbers import Shades, axis_text, float32_texts, point_texts

VALUES = st.floats(width=64) | st.sampled_from(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.7e308, -1.7e308, 5e-324]
)
PLAIN = st.floats(-1e6, 1e6)
EVER = (-(2**63), 2**63 - 1)


def naive_average(values: Sequence[float], weight: float) -> list[float | None]:
    """Return the debiased average after each number, as TensorBoard defines it; nothing for what is no number."""
    last, count = 0.0, 0
    found: list[float | None] = []
    for value in values:
        if not math.isfinite(value):
            found.append(None)
            continue
        count += 1
        last = last * weight + (1 - weight) * value
        found.append(last / (1 - weight**count))
    return found


def cut(points: list[tuple[int, float]], sizes: list[int], *, start: int, end: int, column: int, width: int, smoothing: float | None) -> Line:  # fmt: skip
    cutter = LineCutter(start, end, column, width, smoothing)
    at = 0
    for size in [*sizes, len(points)]:
        part = points[at : at + size]
        xs: Sequence[int] = [x for x, _ in part]
        if len(xs) > 1 and list(range(xs[0], xs[-1] + 1)) == xs:
            xs = range(xs[0], xs[-1] + 1)  # as blocks give them
        cutter.add(xs, array("d", [value for _, value in part]))
        at += size
    return cutter.line()


@given(
    st.lists(st.tuples(st.integers(-50, 50), VALUES), max_size=40).map(
        lambda points: sorted(points, key=lambda p: p[0])
    ),
    st.lists(st.integers(1, 10), max_size=5),
    st.integers(-60, 60),
    st.integers(-60, 60),
    st.integers(1, 20),
    st.integers(1, 10),
)
@settings(max_examples=300)
def test_columns_hold_what_a_loop_finds(
    points: list[tuple[int, float]], sizes: list[int], one: int, other: int, column: int, width: int
) -> None:
    start, end = min(one, other), max(one, other)
    line = cut(points, sizes, start=start, end=end, column=column, width=width, smoothing=None)
    inside = [(x, value) for x, value in points if start <= x <= end]
    assert (line.total, line.count) == (len(points), len(inside))
    assert line.raw == (len(inside) <= 2 * width)
    if line.raw:
        assert line.x == [x for x, _ in inside]
        assert line.y == [value if math.isfinite(value) else None for _, value in inside]
        odd = [x for x, _ in inside]
    else:
        columns: dict[int, list[float]] = {}
        for x, value in inside:
            columns.setdefault(x // column * column, []).append(value)
        assert line.x == sorted(columns)
        assert line.low is not None
        assert line.high is not None
        assert line.mean is not None
        for x, low, high, mean in zip(line.x, line.low, line.high, line.mean, strict=True):
            numbers = [value for value in columns[x] if math.isfinite(value)]
            assert (low, high) == ((min(numbers), max(numbers)) if numbers else (None, None))
            if low is None or high is None:
                assert mean is None
            else:
                assert mean is not None
                assert low <= mean <= high
                if max(map(abs, numbers)) < 1e300:
                    assert mean == pytest.approx(
                        math.fsum(numbers) / len(numbers), rel=1e-9, abs=1e-9 * max(map(abs, numbers))
                    )
        odd = [x // column * column for x, _ in inside]
    for name, is_so in (
        ("nan", math.isnan),
        ("infinite", lambda v: v == math.inf),
        ("minus_infinite", lambda v: v == -math.inf),
    ):
        assert getattr(line, name) == sorted(
            {x for x, (_, value) in zip(odd, inside, strict=True) if is_so(value)}
        )


@given(
    st.lists(PLAIN | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=60),
    st.lists(st.integers(1, 10), max_size=5),
    st.sampled_from([0.0, 0.3, 0.9, 0.99, 0.9999]),
    st.integers(0, 20),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_the_smoothed_line_is_that_of_all_points(
    values: list[float], sizes: list[int], weight: float, start: int, column: int, width: int
) -> None:
    points = list(enumerate(values))
    line = cut(points, sizes, start=start, end=EVER[1], column=column, width=width, smoothing=weight)
    expected = naive_average(values, weight)
    assert line.smooth is not None
    largest = max([abs(value) for value in values if math.isfinite(value)], default=0)
    for at, (x, smooth) in enumerate(zip(line.x, line.smooth, strict=True)):
        if line.raw:
            wanted = expected[x]
        else:
            found = [expected[x + offset] for offset in range(column) if start <= x + offset < len(values)]
            wanted = next((each for each in reversed(found) if each is not None), None)
        if wanted is None:
            assert smooth is None, at
        else:
            assert smooth == pytest.approx(wanted, rel=1e-9, abs=1e-9 * largest)


def test_a_long_line_is_smoothed_to_the_last_digits() -> None:
    dice = random.Random(3)
    values = [dice.gauss(0, 1) + number / 1000 for number in range(30_000)]
    for weight in (0.6, 0.99, 0.9999):
        smoother = Smoother(weight)
        for at in range(0, len(values), 700):
            smoother.add(values[at : at + 700])
        assert smoother.value == pytest.approx(naive_average(values, weight)[-1], rel=1e-11)


def test_one_point_of_a_million_is_seen() -> None:
    cutter = LineCutter(*EVER, column_width(0, 999_999, 1000), 1000, None)
    values = array("d", [0.5]) * 8_000
    for part in range(125):
        some = values[:]
        if part == 77:
            some[1234] = 40.5
        cutter.add(range(part * 8_000, (part + 1) * 8_000), some)
    line = cutter.line()
    assert (line.count, line.raw) == (1_000_000, False)
    assert 700 <= len(line.x) <= 1_000
    assert line.high is not None
    assert line.low is not None
    (spike,) = [x for x, high in zip(line.x, line.high, strict=True) if high == 40.5]
    assert spike <= 77 * 8_000 + 1_234 < spike + column_width(0, 999_999, 1000)
    assert set(line.low) == {0.5}


def test_parts_that_go_back_are_refused() -> None:
    cutter = LineCutter(*EVER, 1, 1, None)
    cutter.add([1, 5], [1.0, 2.0])
    with pytest.raises(OutOfOrderError):
        cutter.add([4], [1.0])
    with pytest.raises(OutOfOrderError):
        LineCutter(*EVER, 1, 1, None).add([2, 1], [1.0, 2.0])
    with pytest.raises(OutOfOrderError):
        LineCutter(*EVER, 1, 1, None).add(range(5, 0, -1), [1.0] * 5)


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**40), st.integers(1, 5_000))
@example(0, 0, 1)
@example(0, 999, 1000)
def test_columns_are_of_few_widths(first: int, extent: int, width: int) -> None:
    column = column_width(first, first + extent, width)
    needed = -(-(extent + 1) // width)
    assert needed <= column <= needed * 1.25
    assert bin(column).rstrip("0").count("1") <= 3
    assert len(bin(column).rstrip("0")) <= 5  # with its two letters


# -- as text --------------------------------------------------------------------------------------------------
def float32(value: float) -> float:
    return array("f", (value,))[0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
@example([0.1, 0.30000001192092896, 16777217.0, 1e39, 1e-50, 0.0])
def test_texts_are_of_the_same_float(values: list[float]) -> None:
    for text, value in zip(float32_texts(values), values, strict=True):
        read = json.loads(text)
        assert len(text) <= (16 if abs(value) < 1e307 else 24)
        if abs(value) > 3.4e38 or (value != 0 and float32(value) == 0):
            assert read == pytest.approx(value, rel=6e-8)
        else:
            assert struct.pack("f", read) == struct.pack("f", value) or read == value == 0


@pytest.mark.parametrize(
    "values",
    [
        [16_777_217.0, 16_777_218.0, 16_777_219.0],
        [123_456_789.0, 1.0],
        [1e8 + 0.001, 1e8 + 0.002],
        [1.00001, 1.00002],
    ],
)
def test_points_that_a_float_would_round_together_have_all_digits(values: list[float]) -> None:
    assert [json.loads(text) for text in point_texts(values)] == values


def test_other_points_have_few_digits() -> None:
    assert point_texts([1 / 3, 2 / 3, 0.0]) == ["0.33333334", "0.6666667", "0"]
    assert point_texts([]) == []


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@example([1e-9, 1.0])
@example([1000.00001, 1000.00002])
@example([1e15, 3e15])
@example([-1.7e308, 1.7e308])
@example([5e-324, 1e-323])
def test_shades_are_finer_than_a_chart_shows(values: list[float]) -> None:
    low, high = min(values), max(values)
    for text, value in zip(Shades(low, high).texts(values), values, strict=True):
        read = json.loads(text)
        assert abs(read / 2 - value / 2) <= max(
            (high / 2 - low / 2) / 1_000, abs(value) * (1e-14 if low != high else 1e-11)
        )
        if low != high and abs(value) > 1e-300:
            assert abs(read - value) <= abs(value) * 5.1e-3  # on a logarithmic axis


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20).map(sorted))
@example([3, 6, 9])
@example([3, 6, 12])
@example([7, 7, 7])
def test_places_are_read_back(xs: list[int]) -> None:
    unit = math.gcd(*[later - earlier for earlier, later in pairwise(xs)]) or 1
    for each in (1, unit):
        message = msgspec.json.decode(axis_text(xs, each), type=AxisMessage)
        assert message.values() == xs


def test_an_answer_is_short_and_of_the_declared_form() -> None:
    line = Envelope(
        run_id="r", key='od"d', total=9, count=9, first_step=0, last_step=8, raw=False, column=4,
        x=[0, 4, 8], low=[0.123456789, None, -1.0], high=[2.0, None, 1.0], mean=[1.0, None, 0.0], nan=[4],
    )  # fmt: skip

    class Store:
        def find_encoded_envelopes(
            self, encode: Callable[[Envelope], bytes], request: object
        ) -> EncodedEnvelopes:
            return EncodedEnvelopes(cursor=7, series=[encode(line)])

    encoded = find_envelopes(Store(), Asked(run_ids=["r"], keys=["k"]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    text = encoded.text  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    answer = msgspec.json.decode(text, type=FindEnvelopesResponse)
    assert answer.cursor == 7
    assert answer.series[0].low == [0.1235, None, -1.0]
    assert answer.series[0].key == 'od"d'
    assert json.loads(text)["series"][0]["x"] == {"start": 0, "step": 4, "count": 3}
    assert "infinite" not in json.loads(text)["series"][0]
