"""Compare what two trainings logged, and say each difference on a line."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

MACHINE_PARAMS = frozenset({"num_threads", "n_jobs", "nthread"})
"""Params whose value is the number of processors."""
FOLDER_PARAMS = frozenset({"output_dir", "logging_dir", "run_name", "transformers_version", "stopped_epoch"})
"""Params that name a temporary folder, or are a version."""


def differences(expected: Document, found: Document, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Return what differs between a recording of MLflow and ours, without what the clock, the machine and versions decide.

    Args:
        expected: What MLflow logged.
        found: What slipstream logged.
        allowed: Names that slipstream logs and MLflow does not, on purpose.
    """
    lines = list(_compare_lists("models", expected["models"], found["models"]))
    ours, theirs = found["runs"], expected["runs"]
    if len(ours) != len(theirs):
        return [*lines, f"runs: {len(theirs)} expected, {len(ours)} found"]
    for index, (their, our) in enumerate(zip(theirs, ours, strict=True)):
        lines += _compare_runs(f"run {index}", their, our, allowed)
    return lines


def _compare_runs(where: str, expected: Document, found: Document, allowed: frozenset[str]) -> Iterator[str]:
    if expected["status"] != found["status"]:
        yield f"{where} status: {expected['status']!r} expected, {found['status']!r} found"
    yield from _compare_names(f"{where} params", expected["params"], found["params"], allowed)
    for key in expected["params"].keys() & found["params"].keys() - MACHINE_PARAMS - FOLDER_PARAMS:
        if expected["params"][key] != found["params"][key]:
            yield f"{where} param {key}: {expected['params'][key]!r} expected, {found['params'][key]!r} found"
    yield from _compare_names(f"{where} tags", expected["tags"], found["tags"], allowed)
    for key in expected["tags"].keys() & found["tags"].keys():
        if expected["tags"][key] != found["tags"][key]:
            yield f"{where} tag {key}: {expected['tags'][key]!r} expected, {found['tags'][key]!r} found"
    yield from _compare_names(f"{where} metrics", expected["metrics"], found["metrics"], allowed)
    for key in sorted(expected["metrics"].keys() & found["metrics"].keys()):
        if "_time" not in key and "runtime" not in key and "per_second" not in key:
            yield from _compare_points(
                f"{where} metric {key}", expected["metrics"][key], found["metrics"][key]
            )
    yield from _compare_names(
        f"{where} artifacts",
        _without_names(expected["artifacts"]),
        _without_names(found["artifacts"]),
        allowed,
    )
    yield from _compare_lists(f"{where} datasets", expected["datasets"], found["datasets"])
    theirs, ours = expected.get("children", []), found.get("children", [])
    if len(theirs) != len(ours):
        yield f"{where} children: {len(theirs)} expected, {len(ours)} found"
        return
    for index, (their, our) in enumerate(zip(theirs, ours, strict=True)):
        yield from _compare_runs(f"{where} child {index}", their, our, allowed)


def _without_names(paths: list[str]) -> dict[str, None]:
    return dict.fromkeys(
        "restored_model_checkpoint/*" if each.startswith("restored_model_checkpoint/") else each
        for each in paths
    )


def _compare_points(where: str, expected: list[list[float]], found: list[list[float]]) -> Iterator[str]:
    if [step for step, _ in expected] != [step for step, _ in found]:
        yield f"{where}: steps {[step for step, _ in expected]} expected, {[step for step, _ in found]} found"
        return
    for (step, their), (_, our) in zip(expected, found, strict=True):
        if not math.isclose(their, our, rel_tol=1e-4, abs_tol=1e-6) and not (their != their and our != our):  # noqa: PLR0124  # NaN
            yield f"{where} at step {step}: {their} expected, {our} found"


def _compare_names(
    where: str, expected: Mapping[str, Any], found: Mapping[str, Any], allowed: frozenset[str]
) -> Iterator[str]:
    if missing := sorted(expected.keys() - found.keys()):
        yield f"{where} missing: {missing}"
    if extra := sorted(found.keys() - expected.keys() - allowed):
        yield f"{where} not in MLflow: {extra}"


def _compare_lists(where: str, expected: list[Any], found: list[Any]) -> Iterator[str]:
    if expected != found:
        yield f"{where}: {expected} expected, {found} found"
