"""Runs beside each other, with all that they logged, column by column."""

import msgspec


class ComparedDataset(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    digest: str
    source_type: str
    context: str | None = None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """All lists have one element a run, in the order that was asked for."""

    cursor: int
    """The state of the database that this shows: `events` tells what has changed since."""
    missing: list[str] = []
    """Ids of the asked ones that no run has."""
    run_ids: list[str]
    names: list[str]
    experiment_ids: list[str]
    statuses: list[str]
    start_times: list[int]
    end_times: list[int | None]
    user_ids: list[str]
    params: dict[str, list[str | None]] = {}
    """By key; `None` where a run has none."""
    metrics: dict[str, list[float | None]] = {}
    """Latest values."""
    tags: dict[str, list[str | None]] = {}
    datasets: list[list[ComparedDataset]] = []
