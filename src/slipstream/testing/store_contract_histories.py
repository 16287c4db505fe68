"""The part of the store's contract that is about reading many points at a time."""

import math
import struct
from typing import Any

import pytest

from slipstream.entities import Metric, Param, RunTag, SeriesFilter
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run


def read(
    store: Store, runs: list[str], keys: list[str] | None = None, wanted: SeriesFilter | None = None
) -> list[tuple[str, str, list[tuple[int, int, float]]]]:
    """Return (run, key, points) with the parts of long series put together."""
    found: list[tuple[str, str, list[tuple[int, int, float]]]] = []
    for part in store.read_series(runs, keys, wanted):
        assert len(part) == len(part.timestamps) == len(part.values) <= 65_536
        assert (part.steps.typecode, part.timestamps.typecode, part.values.typecode) == ("q", "q", "d")
        points = list(zip(part.steps, part.timestamps, part.values, strict=True))
        if found and found[-1][:2] == (part.run_id, part.key):
            found[-1][2].extend(points)
        else:
            found.append((part.run_id, part.key, points))
    return found


class HistoryContract:
    def test_series_come_by_run_as_asked_then_key_then_time(self, store: Store) -> None:
        first, second, empty = new_run(store), new_run(store), new_run(store)
        store.log_batch(first, [Metric("b", 2.0, 5, 1), Metric("a/x", 1.0, 9, 3), Metric("a/x", 0.5, 8, 4)])
        store.log_batch(second, [Metric("b", 1.0, 1, 0), Metric("b", 3.0, 1, -1), Metric("b", 2.0, 1, -1)])
        assert read(store, [second, empty, first, second]) == [
            (second, "b", [(-1, 1, 2.0), (-1, 1, 3.0), (0, 1, 1.0)]),
            (first, "a/x", [(4, 8, 0.5), (3, 9, 1.0)]),
            (first, "b", [(1, 5, 2.0)]),
        ]
        assert read(store, []) == []

    def test_series_of_some_keys(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(
            run, [Metric(key, 1.0, 1) for key in ("loss", "val/acc", "val/loss", "Loss", "größe")]
        )

        def keys(*patterns: str) -> list[str]:
            return [key for _, key, _ in read(store, [run], list(patterns))]

        assert keys("loss", "val/acc", "absent") == ["loss", "val/acc"]
        assert keys("*loss") == ["loss", "val/loss"]
        assert keys("val/*", "loss") == ["loss", "val/acc", "val/loss"]
        assert keys("gr??e") == ["größe"]
        assert keys("[Ll]oss") == ["Loss", "loss"]
        assert keys() == []
        assert [key for _, key, _ in read(store, [run], None, SeriesFilter(keys=("loss",)))] == ["loss"]

    def test_series_of_a_range_of_steps_and_sampled(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric("m", float(i), 100 + i, i) for i in range(10)])

        def steps(**wanted: Any) -> list[int]:
            return [
                step
                for _, _, points in read(store, [run], wanted=SeriesFilter(**wanted))
                for step, *_ in points
            ]

        assert steps(start_step=3, end_step=5) == [3, 4, 5]
        assert steps(start_step=8) == [8, 9]
        assert steps(end_step=1) == [0, 1]
        assert steps(start_step=10) == []
        assert steps(max_points=4) == [0, 3, 6, 9]
        assert steps(max_points=1) == [9]
        assert steps(max_points=10) == steps(max_points=60_000) == list(range(10))
        assert steps(max_points=2, start_step=2, end_step=4) == [2, 4]
        for most in range(1, 12):  # where MLflow's own sampling looks
            sampled = store.get_metric_history_interval([run], "m", max_results=most)
            assert steps(max_points=most) == [point.step for point in sampled]

    def test_series_hold_exact_values(self, store: Store) -> None:
        run = new_run(store)
        values = [math.nan, math.inf, -math.inf, 5e-324, -1.7976931348623157e308, 0.1 + 0.2, 1e300, 0.0]
        store.log_batch(run, [Metric("m", value, 2**62 + i, i - 2**62) for i, value in enumerate(values)])
        ((_, _, points),) = read(store, [run])
        assert [struct.pack("d", value) for _, _, value in points] == [struct.pack("d", v) for v in values]
        assert [(step, at) for step, at, _ in points] == [(i - 2**62, 2**62 + i) for i in range(len(values))]

    def test_nan_beside_other_values_of_one_step_is_there_once(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric("m", value, 1, 1) for value in (math.nan, -1.0, 0.0, 1.0, math.nan)])
        ((_, _, points),) = read(store, [run])
        values = [value for _, _, value in points]
        assert sorted(value for value in values if not math.isnan(value)) == [-1.0, 0.0, 1.0]
        assert sum(map(math.isnan, values)) == 1

    def test_series_of_deleted_runs_are_read_and_of_unknown_ones_refused(self, store: Store) -> None:
        run = new_run(store)
        store.log_metric(run, Metric("m", 1.0, 1))
        store.delete_run(run)
        assert read(store, [run]) == [(run, "m", [(0, 1, 1.0)])]
        with pytest.raises(NotFoundError, match="f" * 32):
            store.read_series([run, "f" * 32])

    @pytest.mark.parametrize("most", [0, -1, 65_537, 2**70])
    def test_a_sample_has_a_size(self, store: Store, most: int) -> None:
        run = new_run(store)
        with pytest.raises(InvalidParameterError, match="max_points"):
            store.read_series([run], wanted=SeriesFilter(max_points=most))

    def test_long_series_come_in_parts(self, store: Store) -> None:
        run = new_run(store)
        for start in range(0, 70_000, 1_000):
            points = [Metric("m", float(i), i // 3, i // 7) for i in range(start, start + 1_000)]
            store.log_batch(run, points)
        store.log_metric(run, Metric("z", 1.0, 1))
        parts = list(store.read_series([run], ["m"]))
        assert len(parts) > 1
        (_, _, points), (_, key, _) = read(store, [run])
        assert points == [(i // 7, i // 3, float(i)) for i in range(70_000)]
        assert key == "z"
        ((_, _, sample),) = read(store, [run], ["m"], SeriesFilter(max_points=7))
        assert [value for *_, value in sample] == [
            0.0,
            10_000.0,
            20_000.0,
            30_000.0,
            40_000.0,
            50_000.0,
            69_999.0,
        ]

    def test_a_batch_of_any_count(self, store: Store) -> None:
        run = new_run(store)
        points = [Metric(f"m{i % 7}", i / 3, i, i) for i in range(2_500)]
        params = [Param(f"p{i}", str(i)) for i in range(250)]
        tags = [RunTag(f"t{i}", str(i)) for i in range(150)]
        store.log_batch(run, [*points, Metric("odd", math.inf, 1), Metric("odd", math.nan, 2)], params, tags)
        data = store.get_run(run).data
        assert data.params == {param.key: param.value for param in params}
        assert {tag.key: tag.value for tag in tags}.items() <= data.tags.items()
        found = {key: [value for *_, value in some] for _, key, some in read(store, [run])}
        assert math.isnan(found["odd"][1])
        assert found.pop("odd")[0] == math.inf
        assert found == {f"m{n}": [i / 3 for i in range(n, 2_500, 7)] for n in range(7)}

    def test_a_large_batch_whose_params_clash_leaves_no_points(self, store: Store) -> None:
        run = new_run(store)
        store.log_param(run, "p149", "other")
        with pytest.raises(InvalidParameterError, match="p149"):
            store.log_batch(
                run, [Metric("m", 1.0, 1, i) for i in range(1_500)], [Param(f"p{i}", "x") for i in range(150)]
            )
        assert read(store, [run]) == []
