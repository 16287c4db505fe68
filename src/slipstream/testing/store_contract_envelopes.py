"""The part of the store's contract that is about series as charts show them."""

import math
import secrets
from typing import Any

import pytest

from slipstream.entities import Metric, Param
from slipstream.entities.envelope import BandRequest, Envelope, EnvelopeRequest, RunSet, SeriesName
from slipstream.entities.run_table import RunSelection
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run


def lines(store: Store, *series: tuple[str, str], **wanted: Any) -> list[Envelope]:
    request = EnvelopeRequest(series=tuple(SeriesName(*each) for each in series), **wanted)
    return store.find_envelopes(request).series


class EnvelopeContract:
    @pytest.fixture
    def long(self, store: Store) -> str:
        """A run with 3,000 points of `m`, one of which stands out, and of `wave`."""
        run = new_run(store, start_time=1_000)
        for first in range(0, 3_000, 500):
            points = [
                Metric("m", 40.0 if i == 1_234 else i / 1_000, 1_000 + 10 * i, i)
                for i in range(first, first + 500)
            ]
            points += [
                Metric("wave", math.sin(i / 100), 1_000 + 10 * i, i) for i in range(first, first + 500)
            ]
            store.log_batch(run, points)
        return run

    def test_short_series_come_whole(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(
            run,
            [
                Metric("m", value, 10 + step, step)
                for step, value in enumerate((0.5, math.nan, 2.0, math.inf, -math.inf))
            ],
        )
        (line,) = lines(store, (run, "m"))
        assert (line.run_id, line.key, line.raw, line.total, line.count) == (run, "m", True, 5, 5)
        assert (line.first_step, line.last_step) == (0, 4)
        assert list(line.x) == [0, 1, 2, 3, 4]
        assert line.y == [0.5, None, 2.0, None, None]
        assert (list(line.nan), list(line.infinite), list(line.minus_infinite)) == ([1], [3], [4])
        assert line.low is None

    def test_long_series_lose_nothing_that_stands_out(self, store: Store, long: str) -> None:
        (line,) = lines(store, (long, "m"), width=100)
        assert (line.raw, line.total, line.count, line.last_step) == (False, 3_000, 3_000, 2_999)
        assert 70 <= len(line.x) <= 101
        assert line.low is not None
        assert line.high is not None
        assert line.mean is not None
        spike = 1_234 // line.column * line.column
        for x, low, high, mean in zip(line.x, line.low, line.high, line.mean, strict=True):
            inside = [i / 1_000 for i in range(x, min(x + line.column, 3_000)) if i != 1_234] + [40.0] * (
                x == spike
            )
            assert low == pytest.approx(min(inside), abs=0.01)
            assert high == pytest.approx(max(inside), abs=0.01)
            assert mean == pytest.approx(sum(inside) / len(inside), abs=0.01)

    def test_a_window_shows_its_points_exactly(self, store: Store, long: str) -> None:
        (line,) = lines(store, (long, "m"), width=100, start=1_230, end=1_240)
        assert (line.raw, line.total, line.count) == (True, 3_000, 11)
        assert list(line.x) == list(range(1_230, 1_241))
        assert line.y is not None
        assert line.y[4] == 40.0
        assert line.y[5] == pytest.approx(1.235)
        (line,) = lines(store, (long, "m"), start=5_000)
        assert (line.count, list(line.x), line.total) == (0, [], 3_000)

    def test_other_axes(self, store: Store, long: str) -> None:
        (time,) = lines(store, (long, "m"), x="time", width=10_000)
        assert list(time.x) == [1_000 + 10 * i for i in range(3_000)]
        (relative,) = lines(store, (long, "m"), x="relative", width=100, start=0, end=9_999)
        assert relative.count == 1_000
        assert relative.x[0] == 0
        assert relative.last_step == 2_999

    def test_smoothing_is_over_all_points(self, store: Store, long: str) -> None:
        weight, last = 0.97, 0.0
        expected: list[float] = []
        for i in range(3_000):
            last = last * weight + (1 - weight) * math.sin(i / 100)
            expected.append(last / (1 - weight ** (i + 1)))
        (whole,) = lines(store, (long, "wave"), smoothing=weight, width=10_000)
        assert whole.smooth == pytest.approx(expected, abs=0.002)
        (part,) = lines(store, (long, "wave"), smoothing=weight, start=2_000, end=2_050)
        assert part.smooth == pytest.approx(expected[2_000:2_051], abs=0.002)
        (columns,) = lines(store, (long, "wave"), smoothing=weight, width=100)
        assert columns.smooth is not None
        for x, smooth in zip(columns.x, columns.smooth, strict=True):
            assert smooth == pytest.approx(expected[min(x + columns.column, 3_000) - 1], abs=0.002)

    def test_series_share_their_columns(self, store: Store, long: str) -> None:
        short = new_run(store, start_time=1_000)
        store.log_batch(short, [Metric("m", 1.0, 1_000 + i, i) for i in range(300)])
        one, other, wave = lines(store, (long, "m"), (short, "m"), (long, "wave"), width=100)
        assert one.column == other.column == wave.column
        assert list(one.x) == list(wave.x)
        own = lines(store, (long, "m"), (short, "m"), width=100, own_grid=True)[1]
        assert own.column < one.column

    def test_a_metric_with_far_steps_does_not_blur_others(self, store: Store, long: str) -> None:
        alone = lines(store, (long, "wave"), width=100)
        store.log_batch(long, [Metric("by/time", 1.0, 1_000, 2**53), Metric("by/time", 2.0, 1_001, 0)])
        beside, far = lines(store, (long, "wave"), (long, "by/time"), width=100)
        assert [beside] == alone
        assert far.x == [0, 2**53]

    def test_steps_that_went_back_are_put_in_order(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(
            run, [Metric("m", float(step), 1_000 + at, step) for at, step in enumerate([5, 6, 7, 3, 4, 5, 1])]
        )
        (line,) = lines(store, (run, "m"))
        assert list(line.x) == [1, 3, 4, 5, 5, 6, 7]
        assert line.y == [1.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0]
        (line,) = lines(store, (run, "m"), width=1)
        assert (line.raw, len(line.x) <= 2, line.first_step, line.last_step) == (False, True, 1, 7)
        store.log_metric(run, Metric("m", 9.0, 5_000, -1_000_000))
        (line,) = lines(store, (run, "m"), width=2)
        assert (len(line.x) <= 3, line.first_step, line.count) == (True, -1_000_000, 8)

    def test_what_there_is_not_is_left_out(self, store: Store, long: str) -> None:
        found = lines(
            store, (secrets.token_hex(16), "m"), (long, "absent"), (long, "wave"), (long, "m"), (long, "wave")
        )
        assert [line.key for line in found] == ["wave", "m"]
        assert lines(store, (long, "absent")) == []

    @pytest.mark.parametrize(
        ("wanted", "named"),
        [
            ({"width": 0}, "width"),
            ({"width": 10_001}, "width"),
            ({"smoothing": 1.0}, "smoothing"),
            ({"smoothing": -0.1}, "smoothing"),
            ({"start": 2, "end": 1}, "end"),
        ],
    )
    def test_wrong_charts_are_refused(self, store: Store, wanted: dict[str, Any], named: str) -> None:
        with pytest.raises(InvalidParameterError, match=named):
            lines(store, ("0" * 32, "m"), **wanted)

    def test_bands_of_groups_are_exact(self, store: Store) -> None:
        runs = [new_run(store) for _ in range(4)]
        for number, run in enumerate(runs):
            points = [Metric("m", number * 10 + step / 100, 1 + step, step) for step in range(400)]
            store.log_batch(run, [*points, Metric("m", math.nan, 1_000, 3)] if number == 1 else points)
        store.log_metric(runs[0], Metric("m", -70.0, 5_000, 250))
        sets = (
            RunSet(name="three", run_ids=tuple(runs[:3])),
            RunSet(name="one", run_ids=(runs[3], "0" * 32)),
        )
        page = store.find_bands(
            BandRequest(key="m", groups=(*sets, RunSet(name="none", run_ids=())), width=100)
        )
        three, one, none = page.groups
        assert (three.name, three.runs, one.runs, none.runs, list(none.x)) == ("three", 3, 1, 0, [])
        assert list(three.x) == list(one.x) == list(range(0, 400, three.column))
        assert set(three.counts) == {3}
        for at, x in enumerate(three.x):
            steps = [step / 100 for step in range(x, min(x + three.column, 400))]
            means = [sum(steps) / len(steps) + 10 * number for number in range(3)]
            low = steps[0]
            if x <= 250 < x + three.column:
                means[0] = (sum(steps) - 70) / (len(steps) + 1)
                low = -70.0
            middle = sum(means) / 3
            assert three.mean[at] == pytest.approx(middle, abs=0.03)
            deviation = math.sqrt(sum((mean - middle) ** 2 for mean in means) / 2)
            assert three.std[at] == pytest.approx(deviation, abs=0.03)
            assert (three.low[at], three.high[at]) == (
                pytest.approx(low, abs=0.03),
                pytest.approx(steps[-1] + 20, abs=0.03),
            )
        assert set(one.std) == {None}
        assert (page.runs, page.total, three.found, one.found) == (5, 3, 3, 2)
        with pytest.raises(InvalidParameterError, match="width"):
            store.find_bands(BandRequest(key="m", groups=sets, width=0))

    def test_bands_of_all_runs_that_a_search_finds(self, store: Store) -> None:
        experiment = store.create_experiment(f"bands {secrets.token_hex(4)}")
        for number in range(7):
            run = store.create_run(experiment, start_time=1_000 + number).info.run_id
            params = [Param("size", "large" if number < 4 else "small"), Param("seed", str(number % 2))]
            store.log_batch(
                run,
                [Metric("m", float(number), 1_000 + 10 * step, step) for step in range(5)],
                params if number < 6 else [],
            )
        selection = RunSelection(experiment_ids=(experiment,))

        page = store.find_bands(BandRequest(key="m", selection=selection, by=("params.size",)))

        assert (page.runs, page.total, page.complete) == (7, 3, True)
        assert [(each.keys, each.found, each.runs, each.points) for each in page.groups] == [
            (("large",), 4, 4, 20),
            (("small",), 2, 2, 10),
            ((None,), 1, 1, 5),
        ]
        large = page.groups[0]
        assert list(large.x) == [0, 1, 2, 3, 4]
        assert set(large.counts) == {4}
        for values, value in (
            (large.mean, 1.5),
            (large.median, 1.5),
            (large.lower, 0.75),
            (large.upper, 2.25),
            (large.low, 0.0),
            (large.high, 3.0),
            (large.std, math.sqrt(5 / 3)),
        ):
            assert list(values) == [pytest.approx(value, abs=0.01)] * 5
        both = store.find_bands(
            BandRequest(key="m", selection=selection, by=("params.size", "params.seed"), limit=2)
        )
        assert both.total == 5
        assert [each.keys for each in both.groups] == [("large", "0"), ("large", "1")]
        found = RunSelection(experiment_ids=(experiment,), filter_string="params.size = 'small'")
        (alone,) = store.find_bands(BandRequest(key="m", selection=found, smoothing=0.5)).groups
        assert (alone.keys, alone.found) == ((), 2)
        assert alone.smooth is not None
        assert list(alone.smooth) == [pytest.approx(4.5, abs=0.01)] * 5
        with pytest.raises(InvalidParameterError, match="by"):
            store.find_bands(BandRequest(key="m", selection=selection, by=("metrics.m",)))
        with pytest.raises(InvalidParameterError, match="limit"):
            store.find_bands(BandRequest(key="m", selection=selection, limit=1_000))

    def test_bands_reach_as_far_as_steps_and_times_do(self, store: Store) -> None:
        least, most = -(2**63), 2**63 - 1
        runs = [new_run(store) for _ in range(2)]
        for number, run in enumerate(runs):
            store.log_batch(
                run,
                [Metric("m", float(number + at), time, step) for at, (time, step) in enumerate(
                    [(0, least), (1, 0), (most, most)]
                )],
            )  # fmt: skip
        for x in ("step", "time", "relative"):
            for width in (1, 3, 100):
                request = BandRequest(
                    key="m", groups=(RunSet(name="both", run_ids=tuple(runs)),), x=x, width=width
                )
                (band,) = store.find_bands(request).groups
                assert (band.runs, band.points) == (2, 6), (x, width)
                assert (min(band.low), max(band.high)) == (pytest.approx(0.0), pytest.approx(3.0))

    def test_runs_count_between_their_points(self, store: Store) -> None:
        often, seldom = new_run(store), new_run(store)
        store.log_batch(often, [Metric("m", 0.0, 1 + step, step) for step in range(9)])
        store.log_batch(seldom, [Metric("m", 10.0 * step, 1 + step, step) for step in (2, 6)])
        sets = (RunSet(name="both", run_ids=(often, seldom)),)
        (both,) = store.find_bands(BandRequest(key="m", groups=sets)).groups
        assert list(both.x) == list(range(9))
        assert list(both.counts) == [1, 1, 2, 2, 2, 2, 2, 1, 1]
        assert list(both.mean) == [pytest.approx(each, abs=0.1) for each in (0, 0, 10, 15, 20, 25, 30, 0, 0)]
        assert list(both.high) == [pytest.approx(each, abs=0.1) for each in (0, 0, 20, 30, 40, 50, 60, 0, 0)]
