"""How a large batch is cut."""

import msgspec
import pytest

from slipstream.client.batches import Batch, cut_by_bytes, cut_for_mlflow, fits_mlflow
from slipstream.entities import Metric, Param, RunTag


def batch(metrics: int, params: int, tags: int, text: str = "v") -> Batch:
    return Batch(
        [Metric(f"m{i}", float(i), i, i) for i in range(metrics)],
        [Param(f"p{i}", text) for i in range(params)],
        [RunTag(f"t{i}", text) for i in range(tags)],
    )


def together(parts: list[Batch]) -> Batch:
    return Batch(*([entry for part in parts for entry in part[kind]] for kind in range(3)))


@pytest.mark.parametrize("counts", [(1001, 0, 0), (0, 101, 0), (0, 0, 101), (2500, 250, 120), (900, 60, 60)])
def test_cut_for_mlflow(counts: tuple[int, int, int]) -> None:
    whole = batch(*counts)
    parts = list(cut_for_mlflow(whole))
    assert not fits_mlflow(whole)
    assert all(fits_mlflow(part) and any(part) for part in parts)
    assert together(parts) == whole
    last_params = max((index for index, part in enumerate(parts) if part.params), default=0)
    assert not any(part.metrics for part in parts[:last_params])


def test_what_fits() -> None:
    assert fits_mlflow(batch(800, 100, 100))
    assert not fits_mlflow(batch(801, 100, 100))


@pytest.mark.parametrize("text", ["v" * 100, "ü" * 100, '"\\' * 50])
def test_cut_by_bytes(text: str) -> None:
    whole = batch(2_000, 500, 500, text)
    parts = list(cut_by_bytes(whole, 50_000))
    assert together(parts) == whole
    assert len(parts) > 10
    assert max(len(msgspec.json.encode(part)) for part in parts) <= 50_000
    kinds = ["".join(str(kind) for kind in range(3) if part[kind]) for part in parts]
    assert kinds == sorted(kinds, key="120".index)  # params, tags, points


def test_a_batch_of_a_few_megabytes_stays_whole() -> None:
    whole = batch(15_000, 500, 500)
    assert list(cut_by_bytes(whole)) == [whole]
