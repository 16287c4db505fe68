"""Measuring the machine: MLflow's names and units, for one run after the other."""

import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

import slipstream
from slipstream.client import system_metrics
from slipstream.client.system_metrics import Meter
from slipstream.errors import InvalidParameterError, MissingDependencyError

MACHINE = {
    "cpu_utilization_percentage",
    "system_memory_usage_megabytes",
    "system_memory_usage_percentage",
    "disk_usage_percentage",
    "disk_usage_megabytes",
    "disk_available_megabytes",
    "network_receive_megabytes",
    "network_transmit_megabytes",
}


def wait_for_points(run_id: str, key: str, count: int) -> list[Any]:
    until = time.monotonic() + 20
    client = slipstream.SlipstreamClient()
    while len(points := client.get_metric_history(run_id, key)) < count:
        assert time.monotonic() < until
        time.sleep(0.02)
    return points


@pytest.fixture(autouse=True)
def quick(tracking: str) -> None:
    slipstream.set_system_metrics_sampling_interval(0.1)


def test_names_and_steps(tracking: str) -> None:
    with slipstream.start_run(log_system_metrics=True) as run:
        points = wait_for_points(run.info.run_id, "system/cpu_utilization_percentage", 3)

    found = slipstream.get_run(run.info.run_id).data.metrics
    assert {key.removeprefix("system/") for key in found if "gpu" not in key} == MACHINE
    assert [point.step for point in points[:3]] == [0, 1, 2]
    assert 0 <= found["system/system_memory_usage_percentage"] <= 100


def test_a_node_has_its_own_names(tracking: str) -> None:
    slipstream.set_system_metrics_node_id("node-3")
    with slipstream.start_run(log_system_metrics=True) as run:
        wait_for_points(run.info.run_id, "system/node-3/disk_usage_percentage", 1)


def test_the_setting_and_its_exception(tracking: str) -> None:
    slipstream.enable_system_metrics_logging()
    with slipstream.start_run() as run:
        wait_for_points(run.info.run_id, "system/disk_usage_percentage", 1)
    with slipstream.start_run(log_system_metrics=False) as silent:
        time.sleep(0.3)  # three times as long as between two measurements
    slipstream.disable_system_metrics_logging()
    with slipstream.start_run() as off:
        pass
    assert slipstream.get_run(silent.info.run_id).data.metrics == {}
    assert slipstream.get_run(off.info.run_id).data.metrics == {}


def test_a_resumed_run_goes_on_behind_its_last_step(tracking: str) -> None:
    with slipstream.start_run(log_system_metrics=True) as run:
        wait_for_points(run.info.run_id, "system/disk_usage_percentage", 2)
    before = slipstream.SlipstreamClient().get_metric_history(run.info.run_id, "system/disk_usage_percentage")
    with slipstream.start_run(run.info.run_id, log_system_metrics=True):
        points = wait_for_points(run.info.run_id, "system/disk_usage_percentage", len(before) + 1)

    assert [point.step for point in points] == list(range(len(points)))


def test_several_samples_make_one_point(tracking: str) -> None:
    mean = system_metrics._mean(
        [
            {"cpu": 1.0, "network_x": 5.0},
            {"cpu": 2.0, "network_x": 7.123},
            {"cpu": 2.0, "gpu": 3.0, "network_x": 9.456},
        ]
    )

    assert mean == {"cpu": 1.7, "network_x": 9.456, "gpu": 3.0}


def test_values_that_are_none_are_refused(tracking: str) -> None:
    with pytest.raises(InvalidParameterError, match="at least 1"):
        slipstream.set_system_metrics_samples_before_logging(0)
    slipstream.set_system_metrics_samples_before_logging(None)
    slipstream.set_system_metrics_sampling_interval(None)
    assert system_metrics.settings.SYSTEM_METRICS_SAMPLING_INTERVAL.get() == 10.0


def test_without_psutil_it_is_said(
    tracking: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)

    with pytest.raises(MissingDependencyError, match="slipstream\\[system\\]"):
        slipstream.start_run(log_system_metrics=True)
    assert slipstream.active_run() is None
    slipstream.enable_system_metrics_logging()
    with slipstream.start_run():  # where only the settings ask, a training goes on
        pass
    assert "slipstream[system]" in caplog.text


class FakeNvml:
    """A driver with two cards, of which the second tells no power."""

    class NVMLError(Exception):
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:  # noqa: N802
        return SimpleNamespace(used=2_000_000, total=8_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> object:  # noqa: N802
        return SimpleNamespace(gpu=55)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        if handle == 1:
            raise self.NVMLError("Not Supported")
        return 150_000

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:  # noqa: N802
        return 300_000

    def nvmlShutdown(self) -> None:  # noqa: N802
        return


def test_cards_are_measured_and_one_missing_value_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "open_nvml", FakeNvml)
    meter = Meter()
    meter.open()

    sample = meter.sample()
    meter.close()

    assert {key: value for key, value in sample.items() if key.startswith("gpu_0")} == {
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_memory_usage_megabytes": 2.0,
        "gpu_0_utilization_percentage": 55,
        "gpu_0_power_usage_watts": 150.0,
        "gpu_0_power_usage_percentage": 50.0,
    }
    assert "gpu_1_power_usage_watts" not in sample
    assert sample["gpu_1_utilization_percentage"] == 55
