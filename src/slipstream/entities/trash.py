"""What was deleted and can come back, and what it takes to remove it for ever."""

import enum

import msgspec


class TrashKind(enum.StrEnum):
    EXPERIMENT = "experiment"
    RUN = "run"
    MODEL = "model"
    """A logged model."""


class TrashItem(msgspec.Struct, frozen=True, kw_only=True):
    """One deleted thing."""

    kind: TrashKind
    id: str
    name: str
    """What it was called before it was deleted."""
    experiment_id: str
    deleted_time: int
    metric_bytes: int = 0
    """What its metric points take in the database; of an experiment, those of all its runs."""
    removal_time: int | None = None
    """When the server removes it; `None` where nothing is removed by itself."""
    needed_by: str | None = None
    """A version of a registered model that was made from it, such as `churn version 3`."""


class TrashSelection(msgspec.Struct, frozen=True, kw_only=True):
    """What to remove for ever, of what is in the trash. Without any ids: all of it."""

    older_than_ms: int = 0
    """Only what was deleted so long ago."""
    before_time: int | None = None
    """Only what was deleted at this time or earlier; counts instead of `older_than_ms`."""
    run_ids: tuple[str, ...] = ()
    experiment_ids: tuple[str, ...] = ()
    """With all their runs and logged models."""
    model_ids: tuple[str, ...] = ()
    force: bool = False
    """Remove also what versions of registered models were made from."""

    @property
    def names_any(self) -> bool:
        return bool(self.run_ids or self.experiment_ids or self.model_ids)


class KeptItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked for and is not removed."""

    kind: TrashKind
    id: str
    reason: str


class RemovalCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How much is removed."""

    experiments: int = 0
    runs: int = 0
    models: int = 0
    metric_bytes: int = 0
    files: int = 0
    artifact_bytes: int = 0

    def __add__(self, other: "RemovalCounts") -> "RemovalCounts":
        return RemovalCounts(
            experiments=self.experiments + other.experiments,
            runs=self.runs + other.runs,
            models=self.models + other.models,
            metric_bytes=self.metric_bytes + other.metric_bytes,
            files=self.files + other.files,
            artifact_bytes=self.artifact_bytes + other.artifact_bytes,
        )


class RemovalPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of a removal did, or, of a plan, will do."""

    counts: RemovalCounts
    items: list[TrashItem]
    """What the plan found; empty for what was done."""
    kept: list[KeptItem]
    token: str | None
    """Hand it in to go on; `None` when all is done."""
    before_time: int
    """Of the selection; to be named when going on, so that nothing joins which the plan did not show."""


class OrphanFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the store's own layout that belongs to no run and no logged model."""

    path: str
    """Below the artifact root."""
    files: int
    artifact_bytes: int
    last_change_time: int


class OrphanReport(msgspec.Struct, frozen=True, kw_only=True):
    folders: list[OrphanFolder]
    known: int
    """How many folders belong to runs and models of this database."""
    unfinished: int
    """Uploads that were begun and never finished, and were or will be thrown away."""
