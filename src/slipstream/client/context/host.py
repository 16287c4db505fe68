"""On what a run runs: machine, memory, GPUs, and the scheduler or container around it."""

import contextlib
import os
import platform
import socket
from pathlib import Path
from typing import Any

from slipstream.client.context.nvml import nvml
from slipstream.client.context.program import Program

_ENVIRONMENT = (
    *(
        "SLURM_JOB_ID",
        "SLURM_JOB_NAME",
        "SLURM_ARRAY_JOB_ID",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_NODELIST",
        "SLURM_NODEID",
    ),
    *(
        "SLURM_PROCID",
        "SLURM_NTASKS",
        "SLURM_CPUS_PER_TASK",
        "SLURM_MEM_PER_NODE",
        "SLURM_GPUS",
        "SLURM_JOB_PARTITION",
    ),
    *("PBS_JOBID", "LSB_JOBID", "JOB_ID", "SGE_TASK_ID"),
    *("POD_NAME", "POD_NAMESPACE", "NODE_NAME", "KUBERNETES_SERVICE_HOST", "HOSTNAME"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *(
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "CONDA_DEFAULT_ENV",
        "VIRTUAL_ENV",
    ),
    *("CI", "GITHUB_RUN_ID", "GITHUB_WORKFLOW", "CI_JOB_ID", "CI_PIPELINE_ID", "BUILD_ID"),
)
"""What schedulers, clusters and launchers say; nothing else of the environment is read."""


def host_facts(program: Program) -> dict[str, Any]:
    """Return what can be found out without privileges; what cannot is left out."""
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "pid": program.pid,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "python": {"version": platform.python_version(), "executable": program.executable},
        "cpu": _cpu(),
        "memory": _memory(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    }
    if around := _around():
        facts["inside"] = around
    if gpus := _gpus():
        facts["gpu"] = gpus
    return facts


def _cpu() -> dict[str, Any]:
    facts: dict[str, Any] = {"count": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        facts["usable"] = len(os.sched_getaffinity(0))
    for line in _read("/proc/cpuinfo", 4096).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            facts["model"] = value.strip()
            break
    quota = _read("/sys/fs/cgroup/cpu.max", 100).split()
    if len(quota) == 2 and quota[0].isdigit():
        facts["limit"] = int(quota[0]) / int(quota[1])
    return facts


def _memory() -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for line in _read("/proc/meminfo", 4096).splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "SwapTotal"):
            facts["total_bytes" if name == "MemTotal" else "swap_bytes"] = int(value.split()[0]) * 1024
    if not facts and hasattr(os, "sysconf"):
        facts["total_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _read(path, 100).strip()
        if limit.isdigit() and int(limit) < facts.get("total_bytes", 0):
            facts["limit_bytes"] = int(limit)
    return facts


def _around() -> dict[str, str]:
    """Say in which container or under which scheduler the process is."""
    around: dict[str, str] = {}
    if Path("/.dockerenv").exists():
        around["container"] = "docker"
    elif Path("/run/.containerenv").exists():
        around["container"] = "podman"
    elif os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER"):
        around["container"] = "apptainer"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        around["cluster"] = "kubernetes"
        namespace = _read("/var/run/secrets/kubernetes.io/serviceaccount/namespace", 200).strip()
        if namespace:
            around["namespace"] = namespace
    if os.environ.get("SLURM_JOB_ID"):
        around["scheduler"] = "slurm"
    return around


def _gpus() -> list[dict[str, Any]]:
    gpus: list[dict[str, Any]] = []
    with nvml() as module:
        if module is None:
            return gpus
        driver = _text(module.nvmlSystemGetDriverVersion())
        for index in range(module.nvmlDeviceGetCount()):
            handle = module.nvmlDeviceGetHandleByIndex(index)
            gpu: dict[str, Any] = {"index": index, "driver": driver}
            with contextlib.suppress(module.NVMLError):  # one missing fact must not cost the others
                gpu["name"] = _text(module.nvmlDeviceGetName(handle))
            with contextlib.suppress(module.NVMLError):
                gpu["uuid"] = _text(module.nvmlDeviceGetUUID(handle))
            with contextlib.suppress(module.NVMLError):
                gpu["memory_bytes"] = int(module.nvmlDeviceGetMemoryInfo(handle).total)
            gpus.append(gpu)
    return gpus


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _read(path: str, most: int) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return ""
