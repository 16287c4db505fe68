"""The plain files of an export: what is in which, and how points are written and read.

    manifest.json            format, version, counts, and every file with its size and SHA-256; written last
    experiments.jsonl        one JSON object a line, here and below
    runs.jsonl               with the place of their points
    metrics/part-00000.*     run_id, key, step, timestamp, value: Parquet, or CSV packed with gzip
    branches/part-00000.*    points that runs left behind, as in metrics/; run_id is <run id>/<number of the branch>
    logged_models.jsonl      with their points; values as texts, since JSON has no NaN
    registered_models.jsonl  with their versions
    artifacts/               files of runs (<run id>/...) and logged models (models/<model id>/...), if asked for

Points are in the order of the runs, and those of one run follow each other, so that reading needs no index.
"""

import csv
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO, cast

import msgspec

from slipstream.entities import Experiment, LoggedModel, Metric, ParamVersion, RegisteredModel, Run
from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.store.import_records import ImportedVersion

FORMAT = "slipstream-export"
VERSION = 2
VERSION_WITHOUT_PAST = 1
"""Of an export in which no run has branches or earlier values of params: an older slipstream can read it."""
MANIFEST = "manifest.json"
UNFINISHED = "unfinished"
"""A file that is there until the manifest is."""
METRICS = "metrics"
BRANCHES = "branches"
ARTIFACTS = "artifacts"
PART_POINTS = 1_000_000
_GROUP_POINTS = 50_000
_COLUMNS = ["run_id", "key", "step", "timestamp", "value"]
_CHUNK = 1 << 20


class ExportedFile(msgspec.Struct, frozen=True):
    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    made_by: str
    made_time: int
    """Unix milliseconds."""
    source: str
    points_format: str
    """`parquet` or `csv.gz`."""
    counts: dict[str, int]
    files: list[ExportedFile]


class ExperimentLine(msgspec.Struct, frozen=True):
    experiment: Experiment


class BranchLine(msgspec.Struct, frozen=True):
    number: int
    from_step: int
    created_time: int
    undone_time: int | None = None
    part: int = 0
    """The place of its points, in the files of branches, as below."""
    row: int = 0
    points: int = 0


class RunLine(msgspec.Struct, frozen=True):
    run: Run
    part: int
    """In which file its first point is, from 0."""
    row: int
    """And in which row of that, from 0; they may go on in the next file."""
    points: int
    earlier_params: list[ParamVersion] = []
    """Values that other ones replaced."""
    branches: list[BranchLine] = []


class ModelPoint(msgspec.Struct, frozen=True):
    key: str
    value: str
    timestamp: int
    step: int
    run_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LoggedModelLine(msgspec.Struct, frozen=True):
    model: LoggedModel
    """Without points."""
    lifecycle_stage: str
    points: list[ModelPoint]


class RegisteredModelLine(msgspec.Struct, frozen=True):
    model: RegisteredModel
    versions: list[ImportedVersion]
    last_version: int


def branch_owner(run_id: str, number: int) -> str:
    """Return whose points a branch's are, in the files."""
    return f"{run_id}/{number}"


# -- points ---------------------------------------------------------------------------------------------


class PointsWriter(Protocol):
    def write(self, run_id: str, points: Sequence[Metric]) -> None: ...
    def close(self) -> None: ...


class PointParts:
    """Writes points into files of a million each."""

    def __init__(self, folder: Path, points_format: str) -> None:
        self._folder = folder
        self._format = points_format
        self._writer: PointsWriter | None = None
        self.part = 0
        self.row = 0
        """Where the next point goes."""

    def write(self, run_id: str, points: Sequence[Metric]) -> None:
        while points:
            if self.row == PART_POINTS:
                self.close()
                self.part, self.row = self.part + 1, 0
            if self._writer is None:
                self._folder.mkdir(exist_ok=True)
                path = self._folder / part_name(self.part, self._format)
                self._writer = _ParquetWriter(path) if self._format == "parquet" else _CsvWriter(path)
            fitting = points[: PART_POINTS - self.row]
            self._writer.write(run_id, fitting)
            self.row += len(fitting)
            points = points[len(fitting) :]

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def part_name(part: int, points_format: str) -> str:
    return f"part-{part:05}.{points_format}"


def choose_format(asked: str | None) -> str:
    """Return the format that points are written in: Parquet where its library is installed, unless asked otherwise."""
    if asked == "csv":
        return "csv.gz"
    try:
        import pyarrow.parquet  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        if asked == "parquet":
            raise MissingDependencyError(
                "Parquet needs the pyarrow library: pip install 'slipstream[data]'. Or write --metrics csv."
            ) from error
        return "csv.gz"
    return "parquet"


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = cast("TextIO", gzip.open(path, "wt", 6, "utf-8", newline=""))  # noqa: SIM115  # closed by close
        self._csv = csv.writer(self._file)
        self._csv.writerow(_COLUMNS)

    def write(self, run_id: str, points: Sequence[Metric]) -> None:
        self._csv.writerows(
            (run_id, each.key, each.step, each.timestamp, repr(each.value)) for each in points
        )

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        arrow: Any = pyarrow  # it has no annotations
        self._arrow = arrow
        types: list[Any] = [arrow.string(), arrow.string(), arrow.int64(), arrow.int64(), arrow.float64()]
        self._schema: Any = arrow.schema(list(zip(_COLUMNS, types, strict=True)))
        self._writer: Any = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._columns: list[list[Any]] = [[] for _ in _COLUMNS]

    def write(self, run_id: str, points: Sequence[Metric]) -> None:
        runs, keys, steps, times, values = self._columns
        runs += [run_id] * len(points)
        keys += [each.key for each in points]
        steps += [each.step for each in points]
        times += [each.timestamp for each in points]
        values += [each.value for each in points]
        if len(runs) >= _GROUP_POINTS:
            self._flush()

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [
                self._arrow.array(column, field.type)
                for column, field in zip(self._columns, self._schema, strict=True)
            ]
            self._writer.write_table(self._arrow.table(arrays, schema=self._schema))
            self._columns = [[] for _ in _COLUMNS]

    def close(self) -> None:
        self._flush()
        self._writer.close()


class _Place(NamedTuple):
    part: int
    row: int


class PointReader:
    """Reads points by their place, fast where places are asked for in rising order."""

    def __init__(self, folder: Path, points_format: str) -> None:
        self._folder = folder
        self._format = points_format
        self._at = _Place(0, 0)
        self._rows: Iterator[Sequence[tuple[str, Metric]]] = iter(())
        self._rest: Sequence[tuple[str, Metric]] = ()

    def read(self, run_id: str, part: int, row: int, count: int) -> Iterator[Sequence[Metric]]:
        """Yield `count` points from a place on.

        Raises:
            InvalidParameterError: there are others.
        """
        if count == 0:
            return
        if _Place(part, row) < self._at or part != self._at.part or self._at == (0, 0):
            self._open(part)
        left, skipped = count, row - self._at.row
        while left:
            if not self._rest:
                self._rest = self._next()
            if not self._rest:
                if self._at.row == 0:
                    raise InvalidParameterError(f"The points of run {run_id} are missing in {self._folder}.")
                self._open(self._at.part + 1)
                continue
            if skipped >= len(self._rest):
                skipped -= len(self._rest)
                self._advance(len(self._rest))
                continue
            self._advance(skipped)
            skipped = 0
            piece = self._rest[:left]
            self._advance(len(piece))
            left -= len(piece)
            if any(owner != run_id for owner, _ in piece):
                raise InvalidParameterError(
                    f"Where the points of run {run_id} should be are those of another."
                )
            yield [point for _, point in piece]

    def _next(self) -> Sequence[tuple[str, Metric]]:
        try:
            return next(self._rows, ())
        except (ValueError, OSError, EOFError, KeyError) as error:  # Arrow's errors are some of these
            path = self._folder / part_name(self._at.part, self._format)
            raise InvalidParameterError(f"The file {path} cannot be read: {error}") from error

    def _advance(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._at = _Place(self._at.part, self._at.row + count)

    def _open(self, part: int) -> None:
        path = self._folder / part_name(part, self._format)
        if path.is_symlink() or not path.is_file():
            raise InvalidParameterError(f"The file {path} is missing.")
        self._rows = _parquet_rows(path) if self._format == "parquet" else _csv_rows(path)
        self._rest = ()
        self._at = _Place(part, 0)


def _csv_rows(path: Path) -> Iterator[Sequence[tuple[str, Metric]]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != _COLUMNS:
            raise InvalidParameterError(f"{path} has other columns than {', '.join(_COLUMNS)}.")
        rows: list[tuple[str, Metric]] = []
        for run_id, key, step, timestamp, value in lines:
            rows.append((run_id, Metric(key, float(value), int(timestamp), int(step))))
            if len(rows) == _GROUP_POINTS:
                yield rows
                rows = []
        if rows:
            yield rows


def _parquet_rows(path: Path) -> Iterator[Sequence[tuple[str, Metric]]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs the pyarrow library: pip install 'slipstream[data]'"
        ) from error
    file: Any = pyarrow.parquet.ParquetFile(path)
    try:
        for batch in file.iter_batches(_GROUP_POINTS, columns=_COLUMNS):
            columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
            yield [
                (run_id, Metric(key, value, timestamp, step))
                for run_id, key, step, timestamp, value in zip(*columns, strict=True)
            ]
    finally:
        file.close()


# -- files ----------------------------------------------------------------------------------------------


def digest_of(path: Path, told: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            told(len(chunk))
    return digest.hexdigest()
