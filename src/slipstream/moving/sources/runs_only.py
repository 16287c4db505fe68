"""What sources of runs alone have in common: they know no models, no registry and no storage URIs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipstream.artifact_store.base import ArtifactStore
from slipstream.entities import Experiment
from slipstream.errors import InvalidParameterError
from slipstream.moving.foreign_values import fit_text
from slipstream.moving.keys import Keys
from slipstream.moving.report import Report
from slipstream.moving.source import LoggedModelRecord, RegisteredModelRecord
from slipstream.moving.source_options import SourceOptions

RUN_NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
NOTE_TAG = "mlflow.note.content"
SOURCE_TAG = "slipstream.import.source"
"""What kind of program a run is from."""
STILL_WRITTEN_MS = 5 * 60_000
"""A log without an end whose file changed within this time belongs to a run that goes on."""


class RunsOnly:
    """The part of a `Source` that has nothing to tell."""

    def __init__(self, title: str, report: Report, options: SourceOptions) -> None:
        self.title = fit_text(title)
        self.base: Path | None = None
        self._report = report
        self._options = options
        self._left: Counter[tuple[str, str]] = Counter()
        """What is not taken, by kind and reason."""
        self._renamed: dict[str, str] = {}
        """Keys of all runs that are called otherwise here."""

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        """Yield nothing; asked for after the runs, so what was counted in them is noted now, whichever were chosen."""
        del experiment_ids
        self._note()
        yield from ()

    def registered_models(self) -> Iterator[RegisteredModelRecord]:
        yield from ()

    def note_left_out(self) -> None:
        """Nothing: see `logged_models`."""

    def _note(self) -> None:
        for (kind, reason), count in self._left.items():
            self._report.leave(kind, count, reason)
        if self._renamed:
            key, fitted = next(iter(self._renamed.items()))
            more = f", and {len(self._renamed) - 1:,} more likewise" if len(self._renamed) > 1 else ""
            self._report.notes.append(
                f"'{ascii(key)[1:-1][:100]}' is called '{fitted}' here{more}: keys have letters, digits, spaces and _-.:/."
            )

    def own_places(self) -> list[str]:
        return []

    def artifacts(self, uri: str) -> ArtifactStore:
        raise InvalidParameterError(f"{self.title} has no files at '{uri}'.")

    def close(self) -> None:
        """Nothing: files are open only while they are read."""

    def _leave_files(self, kind: str, count: int) -> None:
        """Count files that would be copied if that had been asked for."""
        if not self._options.takes_files:
            self._left[kind, "--copy-artifacts takes them along"] += count

    def _note_keys(self, keys: Keys) -> None:
        """Note at the end of a run which of its keys have other names here."""
        self._renamed.update(keys.changed)


def experiment(name: str, creation_time: int) -> Experiment:
    """Return an experiment that has only a name; it gets its id and place here."""
    return Experiment(
        experiment_id=name,
        name=name,
        artifact_location="",
        creation_time=creation_time,
        last_update_time=creation_time,
    )
