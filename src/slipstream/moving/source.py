"""What every source of an import offers: the same records, whatever they were kept in.

A source reads and never writes. What it cannot read (a broken file, a row of nonsense) it notes in the `Report` that it
was opened with, and goes on; `SlipstreamError` is raised only where nothing at all can be read.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from slipstream.artifact_store.base import ArtifactStore, Reader
from slipstream.entities import (
    Experiment,
    FileInfo,
    LoggedModel,
    Metric,
    ParamVersion,
    RegisteredModel,
    Run,
    RunBranch,
)
from slipstream.store.import_records import ImportedVersion


class Totals(NamedTuple):
    """How much there is to read, for the progress bars; `None` where only reading would tell."""

    runs: int | None = None
    points: int | None = None


class FileTree(Protocol):
    """Files that can be copied; every `ArtifactStore` is one."""

    def list(self, path: str = "") -> list[FileInfo]: ...
    def open(self, path: str) -> Reader: ...


class BranchRecord(NamedTuple):
    branch: RunBranch
    """Without its latest points."""
    points: Callable[[], Iterator[Sequence[Metric]]]
    """Reads all that it has, in pieces as `RunRecord.points`."""


class Past(NamedTuple):
    """What a run was before."""

    params: Sequence[ParamVersion]
    """Earlier values, those of one param in their order; not the ones that count."""
    branches: "Sequence[BranchRecord]"
    """In the order of their numbers."""

    @property
    def is_empty(self) -> bool:
        return not self.params and not self.branches


NO_PAST = Past((), ())


class RunRecord(NamedTuple):
    run: Run
    """Without its metrics."""
    points: Callable[[], Iterator[Sequence[Metric]]]
    """Reads all that it logged, in pieces. The pieces are of any size up to some ten thousand."""
    folder: Path | None = None
    """Where its files are on this machine, when the source knows better than the artifact URI."""
    files: FileTree | None = None
    """Its files, where they are in no one folder; instead of `folder`."""
    only_points: bool = False
    """Whether the source knows nothing else: name, times and status are made up, and never take the place of others."""
    past: Past = NO_PAST


class LoggedModelRecord(NamedTuple):
    model: LoggedModel
    lifecycle_stage: str = "active"
    folder: Path | None = None
    """As `RunRecord.folder`."""


class RegisteredModelRecord(NamedTuple):
    model: RegisteredModel
    versions: list[ImportedVersion]
    last_version: int
    """The largest number ever given, those of deleted versions included."""


class Source(Protocol):
    title: str
    """What it is and where, without secrets; for the report."""
    base: Path | None
    """The folder that relative artifact URIs start from, where there is one."""

    def totals(self) -> Totals: ...

    def experiments(self) -> Iterator[Experiment]:
        """Yield all experiments, deleted or not."""
        ...

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        """Yield all runs of some experiments, deleted or not."""
        ...

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        """Yield the logged models of some experiments, deleted or not."""
        ...

    def registered_models(self) -> Iterator[RegisteredModelRecord]: ...

    def note_left_out(self) -> None:
        """Note in the report what is there and has no place in slipstream, with counts."""
        ...

    def own_places(self) -> list[str]:
        """Return the storage URIs below which files may be copied from without having been named by the user."""
        ...

    def artifacts(self, uri: str) -> ArtifactStore:
        """Open the files below a storage URI as this source sees it."""
        ...

    def close(self) -> None: ...
