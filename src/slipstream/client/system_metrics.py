"""CPU, memory, disk, network and NVIDIA GPUs while a run goes, as metrics with MLflow's names below `system/`."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from slipstream import settings
from slipstream.client.context.nvml import open_nvml
from slipstream.clock import now_ms
from slipstream.entities import Metric, Run
from slipstream.errors import MissingDependencyError, SlipstreamError

PREFIX = "system/"

_logger = logging.getLogger(__name__)


class SystemMetricsMonitor:
    """Measures for one run in a thread of its own, from `start` to `finish`.

    Args:
        run: the run; a resumed one goes on with the step behind its last.
        log: stores points.
    """

    def __init__(self, run: Run, log: Callable[[str, list[Metric]], None]) -> None:
        """Prepare.

        Raises:
            MissingDependencyError: psutil is not installed.
        """
        self._run_id = run.info.run_id
        self._log = log
        self._interval = settings.SYSTEM_METRICS_SAMPLING_INTERVAL.get()
        self._samples = settings.SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get()
        node = settings.SYSTEM_METRICS_NODE_ID.get()
        self._prefix = f"{PREFIX}{node}/" if node else PREFIX
        steps = [each.step for each in run.data.latest_metrics if each.key.startswith(PREFIX)]
        self._step = max(steps, default=-1) + 1
        self._meter = Meter()
        self._stopping = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._measure, name="slipstream-system-metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Stop; what was measured and not logged is dropped, as it is no whole mean."""
        self._stopping.set()
        if self._pid == os.getpid() and self._thread.ident is not None:
            self._thread.join(1.0)

    def _measure(self) -> None:
        self._meter.open()
        try:
            while not self._stopping.is_set():
                samples: list[dict[str, float]] = []
                for _ in range(self._samples):
                    samples.append(self._meter.sample())
                    if self._stopping.wait(self._interval):
                        return
                at = now_ms()
                points = [
                    Metric(self._prefix + key, value, at, self._step) for key, value in _mean(samples).items()
                ]
                self._step += 1
                try:
                    self._log(self._run_id, points)
                except SlipstreamError as error:
                    _logger.debug("System metrics of run %s could not be logged: %s", self._run_id, error)
        except Exception:
            _logger.debug("The machine is not measured any more", exc_info=True)
        finally:
            self._meter.close()


def _mean(samples: list[dict[str, float]]) -> dict[str, float]:
    mean: dict[str, float] = {}
    for key in {key: None for sample in samples for key in sample}:
        values = [sample[key] for sample in samples if key in sample]
        # What is counted since the start is not averaged.
        mean[key] = values[-1] if key.startswith("network_") else round(sum(values) / len(values), 1)
    return mean


def require_meter() -> Any:
    """Return psutil.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import psutil
    except ImportError as error:
        raise MissingDependencyError(
            "System metrics need the package psutil, and for NVIDIA GPUs nvidia-ml-py: pip install 'slipstream[system]'."
        ) from error
    return psutil


class Meter:
    """Measures this machine. In one thread."""

    def __init__(self) -> None:
        self._psutil = require_meter()
        self._gpus: list[Any] = []
        self._nvml: Any = None
        self._received = self._sent = 0.0
        self._failed: set[str] = set()

    def open(self) -> None:
        self._psutil.cpu_percent()  # the first call has nothing to compare with
        counters = self._psutil.net_io_counters()
        if counters is not None:
            self._received, self._sent = counters.bytes_recv / 1e6, counters.bytes_sent / 1e6
        self._nvml = open_nvml()
        if self._nvml is not None:
            count: int = self._nvml.nvmlDeviceGetCount()
            self._gpus = [self._nvml.nvmlDeviceGetHandleByIndex(each) for each in range(count)]

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    def sample(self) -> dict[str, float]:
        """Return what can be measured now; one thing that fails does not cost the others."""
        values: dict[str, float] = {}
        self._try(self._measure_cpu, values, "CPU and memory")
        self._try(self._measure_disk, values, "disk")
        self._try(self._measure_network, values, "network")
        for index, handle in enumerate(self._gpus):
            for measure in (self._measure_gpu_memory, self._measure_gpu_use, self._measure_gpu_power):
                self._try(
                    lambda into, measure=measure, index=index, handle=handle: measure(into, index, handle),
                    values,
                    f"GPU {index}, {measure.__name__}",
                )
        return values

    def _try(self, measure: Callable[[dict[str, float]], None], values: dict[str, float], what: str) -> None:
        try:
            measure(values)
        except Exception as error:  # noqa: BLE001  # of drivers and systems of all kinds
            if what not in self._failed:  # said once
                self._failed.add(what)
                _logger.debug("Not measured: %s: %s", what, error)

    def _measure_cpu(self, values: dict[str, float]) -> None:
        values["cpu_utilization_percentage"] = self._psutil.cpu_percent()
        memory = self._psutil.virtual_memory()
        values["system_memory_usage_megabytes"] = memory.used / 1e6
        values["system_memory_usage_percentage"] = memory.used / memory.total * 100

    def _measure_disk(self, values: dict[str, float]) -> None:
        disk = self._psutil.disk_usage(os.sep)
        values["disk_usage_percentage"] = disk.percent
        values["disk_usage_megabytes"] = disk.used / 1e6
        values["disk_available_megabytes"] = disk.free / 1e6

    def _measure_network(self, values: dict[str, float]) -> None:
        counters = self._psutil.net_io_counters()
        if counters is not None:
            values["network_receive_megabytes"] = counters.bytes_recv / 1e6 - self._received
            values["network_transmit_megabytes"] = counters.bytes_sent / 1e6 - self._sent

    def _measure_gpu_memory(self, values: dict[str, float], index: int, handle: object) -> None:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        values[f"gpu_{index}_memory_usage_percentage"] = memory.used / memory.total * 100
        values[f"gpu_{index}_memory_usage_megabytes"] = memory.used / 1e6

    def _measure_gpu_use(self, values: dict[str, float], index: int, handle: object) -> None:
        values[f"gpu_{index}_utilization_percentage"] = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu

    def _measure_gpu_power(self, values: dict[str, float], index: int, handle: object) -> None:
        milliwatts = self._nvml.nvmlDeviceGetPowerUsage(handle)
        values[f"gpu_{index}_power_usage_watts"] = milliwatts / 1000
        values[f"gpu_{index}_power_usage_percentage"] = (
            milliwatts / self._nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 100
        )


def start_monitor(
    run: Run, asked: bool | None, log: Callable[[str, list[Metric]], None]
) -> SystemMetricsMonitor | None:
    """Start to measure for a run if that is asked for, or by default where the settings say so.

    Raises:
        MissingDependencyError: it is asked for, and psutil is not installed. Where only the settings ask, that is a warning.
    """
    if not (settings.ENABLE_SYSTEM_METRICS_LOGGING.get() if asked is None else asked):
        return None
    try:
        monitor = SystemMetricsMonitor(run, log)
    except MissingDependencyError as error:
        if asked:
            raise
        _logger.warning("%s", error)
        return None
    monitor.start()
    return monitor
