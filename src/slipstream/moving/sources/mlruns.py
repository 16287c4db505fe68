"""MLflow's folder `mlruns`, as its FileStore writes it.

    <root>/<experiment>/meta.yaml tags/ datasets/ traces/ models/<logged model>/
    <root>/<experiment>/<run>/meta.yaml metrics/ params/ tags/ inputs/ outputs/ artifacts/
    <root>/.trash/<experiment>/          deleted experiments
    <root>/models/<registered model>/    the registry

Values are files with the key as path. The files of a run are looked for in its own folder first, so that an `mlruns`
that was moved keeps them, though its artifact URIs name the old place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.uri import open_store
from slipstream.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    ModelVersion,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)
from slipstream.errors import InvalidParameterError
from slipstream.moving.report import Report
from slipstream.moving.source import LoggedModelRecord, RegisteredModelRecord, RunRecord, Totals
from slipstream.moving.sources.folder_reading import (
    VALUE,
    files_below,
    folders_in,
    links_in,
    read_lines,
    read_text,
    read_yaml,
)
from slipstream.moving.sources.mlflow_db import DELETED_VERSION, RUN_NAME_TAG, model_of
from slipstream.store.import_records import ImportedVersion

META = "meta.yaml"
TRASH = ".trash"
_REGISTRY = "models"
_RESERVED = frozenset({"tags", "datasets", "traces", "models"})
_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_MODEL_STATUSES = {status.number: status for status in LoggedModelStatus}
_LINES = 10_000
_VERSION = "version-"


def is_mlruns(folder: Path) -> bool:
    """Tell whether a folder looks like one of FileStore's."""
    places = [*folders_in(folder), *folders_in(folder / TRASH), *folders_in(folder / _REGISTRY)]
    return any((place / META).is_file() for place in places)


class Mlruns:
    """Reads an `mlruns` folder.

    Args:
        root: the folder.
        report: what cannot be read is noted there.
        served_from: the folder behind `mlflow-artifacts:/`, if a server used this folder as its store.
    """

    def __init__(self, root: Path, report: Report, served_from: Path | None = None) -> None:
        self._root = root.absolute()
        self._report = report
        self._served_from = served_from
        self.base: Path | None = self._root.parent
        self.title = f"the folder {self._root}"
        self._folders: dict[str, list[Path]] = {}
        """Of each experiment, by id; more than one where two say that they have it."""

    def totals(self) -> Totals:
        folders = (folder for same in self._folders.values() for folder in same)
        return Totals(runs=sum(len(_run_folders(folder)) for folder in folders))

    # -- experiments --------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Experiment]:
        self._folders.clear()
        self._note_links(self._root)
        active = [each for each in folders_in(self._root) if each.name not in (TRASH, _REGISTRY)]
        for folder in (*active, *folders_in(self._root / TRASH)):
            try:
                meta = read_yaml(folder / META)
                experiment = Experiment(
                    experiment_id=_text(meta, "experiment_id") or folder.name,
                    name=_text(meta, "name"),
                    artifact_location=_text(meta, "artifact_location"),
                    # The place decides: older versions of MLflow moved the folder and left the text.
                    lifecycle_stage="deleted" if folder.parent.name == TRASH else "active",
                    creation_time=_number(meta, "creation_time") or 0,
                    last_update_time=_number(meta, "last_update_time") or _number(meta, "creation_time") or 0,
                    tags=self._values(folder / "tags", "experiment", folder.name),
                )
            except InvalidParameterError as error:
                self._report.fail("experiment", folder.name, f"{error} Its runs are not taken either.")
                continue
            if experiment.experiment_id != folder.name:
                self._report.fail(
                    "experiment",
                    folder.name,
                    f"its {META} says that it is {experiment.experiment_id[:100]!r}. Its runs are not taken either.",
                )
                continue
            self._note_links(folder)
            self._folders.setdefault(experiment.experiment_id, []).append(folder)
            yield experiment

    def _note_links(self, folder: Path) -> None:
        for link in links_in(folder):
            self._report.fail("link", str(link.relative_to(self._root)), "symbolic links are not followed")

    def _values(self, folder: Path, kind: str, name: str) -> dict[str, str]:
        """Return the values of a folder by key; what cannot be read is noted."""
        values: dict[str, str] = {}
        for key, path in files_below(folder):
            try:
                values[key] = read_text(path)
            except InvalidParameterError as error:
                self._report.fail(kind, f"{name}, {folder.name[:-1]} '{key}'", error)
        return values

    # -- runs ---------------------------------------------------------------------------------------

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        for experiment_id in experiment_ids:
            for folder in self._folders.get(experiment_id, []):
                for run_folder in _run_folders(folder):
                    try:
                        yield self._run(run_folder, experiment_id, folder / "datasets")
                    except InvalidParameterError as error:
                        self._report.fail("run", run_folder.name, error)

    def _run(self, folder: Path, experiment_id: str, datasets: Path) -> RunRecord:
        meta = read_yaml(folder / META)
        run_id = _text(meta, "run_id") or _text(meta, "run_uuid")
        if run_id != folder.name:
            raise InvalidParameterError(f"its {META} says that it is {run_id[:100]!r}.")
        told = _text(meta, "experiment_id")
        if told != experiment_id:
            raise InvalidParameterError(f"its {META} says that it belongs to the experiment {told[:100]!r}.")
        self._note_links(folder)
        for name in ("metrics", "params", "tags", "inputs", "outputs"):
            self._note_links(folder / name)
        tags = self._values(folder / "tags", "run", run_id)
        told_status = _text(meta, "status") or "1"
        info = RunInfo(
            run_id=run_id,
            experiment_id=experiment_id,
            run_name=_text(meta, "run_name") or _text(meta, "name") or tags.get(RUN_NAME_TAG, ""),
            user_id=_text(meta, "user_id"),
            status=_STATUSES.get(told_status, told_status),
            start_time=_number(meta, "start_time") or 0,
            end_time=_number(meta, "end_time"),
            lifecycle_stage=_text(meta, "lifecycle_stage") or "active",
            artifact_uri=_text(meta, "artifact_uri"),
        )
        read, models = self._inputs(folder / "inputs", run_id, datasets)
        run = Run(
            info=info,
            data=RunData(params=self._values(folder / "params", "run", run_id), tags=tags),
            inputs=RunInputs(dataset_inputs=read, model_inputs=models),
            outputs=RunOutputs(model_outputs=self._outputs(folder / "outputs", run_id)),
        )
        return RunRecord(run, _Points(folder / "metrics", run_id, self._report), _files(folder))

    def _inputs(
        self, folder: Path, run_id: str, datasets: Path
    ) -> tuple[list[DatasetInput], list[LoggedModelInput]]:
        read: list[DatasetInput] = []
        models: list[LoggedModelInput] = []
        for each in folders_in(folder):
            try:
                meta = read_yaml(each / META)
                source = _text(meta, "source_id")
                if _text(meta, "source_type") == "DATASET":
                    found = cast("dict[object, object]", meta.get("tags") or {})
                    tags = [InputTag(str(key), str(value)) for key, value in found.items()]
                    read.append(DatasetInput(dataset=_dataset(datasets, source), tags=tags))
                else:
                    models.append(LoggedModelInput(source))
            except (InvalidParameterError, AttributeError) as error:
                self._report.fail("run", f"{run_id}, input {each.name}", error)
        return read, models

    def _outputs(self, folder: Path, run_id: str) -> list[LoggedModelOutput]:
        made: list[LoggedModelOutput] = []
        for each in folders_in(folder):
            try:
                meta = read_yaml(each / META)
                made.append(LoggedModelOutput(_text(meta, "destination_id"), _number(meta, "step") or 0))
            except InvalidParameterError as error:
                self._report.fail("run", f"{run_id}, output {each.name}", error)
        return made

    # -- logged models ------------------------------------------------------------------------------

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        for experiment_id in experiment_ids:
            for experiment in self._folders.get(experiment_id, []):
                for folder in folders_in(experiment / "models"):
                    try:
                        yield self._logged_model(folder, experiment_id)
                    except InvalidParameterError as error:
                        self._report.fail("logged model", folder.name, error)

    def _logged_model(self, folder: Path, experiment_id: str) -> LoggedModelRecord:
        meta = read_yaml(folder / META)
        model_id = _text(meta, "model_id")
        if model_id != folder.name:
            raise InvalidParameterError(f"its {META} says that it is {model_id[:100]!r}.")
        number = _number(meta, "status") or 0
        status = _MODEL_STATUSES.get(number)
        if status is None:
            raise InvalidParameterError(f"its status {number} is none of MLflow's.")
        points: list[Metric] = []
        for key, path in files_below(folder / "metrics"):
            for lines in read_lines(path, _LINES):
                for line in lines:
                    try:
                        points.append(_model_point(key, line, model_id))
                    except InvalidParameterError as error:
                        self._report.fail("logged model", f"{model_id}, metric '{key}'", error)
        model = LoggedModel(
            model_id=model_id,
            experiment_id=experiment_id,
            name=_text(meta, "name"),
            artifact_location=_text(meta, "artifact_location"),
            creation_timestamp=_number(meta, "creation_timestamp") or 0,
            last_updated_timestamp=_number(meta, "last_updated_timestamp") or 0,
            model_type=_text(meta, "model_type") or None,
            source_run_id=_text(meta, "source_run_id") or None,
            status=status,
            tags=self._values(folder / "tags", "logged model", model_id),
            params=self._values(folder / "params", "logged model", model_id),
            metrics=points,
        )
        return LoggedModelRecord(model, _text(meta, "lifecycle_stage") or "active", _files(folder))

    # -- the registry -------------------------------------------------------------------------------

    def registered_models(self) -> Iterator[RegisteredModelRecord]:
        self._note_links(self._root / _REGISTRY)
        for folder in folders_in(self._root / _REGISTRY):
            try:
                meta = read_yaml(folder / META)
                model = RegisteredModel(
                    name=_text(meta, "name"),
                    creation_timestamp=_number(meta, "creation_timestamp") or 0,
                    last_updated_timestamp=_number(meta, "last_updated_timestamp") or 0,
                    description=_text(meta, "description") or None,
                    tags=self._values(folder / "tags", "registered model", folder.name),
                    aliases=self._values(folder / "aliases", "registered model", folder.name),
                )
            except InvalidParameterError as error:
                self._report.fail("registered model", folder.name, error)
                continue
            versions, last = self._versions(folder, model.name)
            yield RegisteredModelRecord(model, versions, last)

    def _versions(self, folder: Path, name: str) -> tuple[list[ImportedVersion], int]:
        versions: list[ImportedVersion] = []
        last = 0
        for each in folders_in(folder):
            number = each.name.removeprefix(_VERSION)
            if number == each.name:
                continue
            try:
                meta = read_yaml(each / META)
                _require_number(meta, number)
                last = max(last, int(number))
                if _text(meta, "current_stage") == DELETED_VERSION:
                    self._report.deleted_versions += 1
                    continue
                source = _text(meta, "source")
                stored = _text(meta, "storage_location") or source
                version = ModelVersion(
                    name=name,
                    version=number,
                    creation_timestamp=_number(meta, "creation_timestamp") or 0,
                    last_updated_timestamp=_number(meta, "last_updated_timestamp") or 0,
                    current_stage=_text(meta, "current_stage") or "None",
                    description=_text(meta, "description") or None,
                    source=source,
                    run_id=_text(meta, "run_id"),
                    run_link=_text(meta, "run_link"),
                    status=_text(meta, "status") or "READY",
                    model_id=_text(meta, "model_id") or model_of(source),
                    tags=self._values(each / "tags", "model version", f"'{name}' {number}"),
                )
            except InvalidParameterError as error:
                self._report.fail("model version", f"'{name}' {number}", error)
                continue
            versions.append(ImportedVersion(version=version, storage_location=stored))
        return versions, last

    # -- what has no place, and files ---------------------------------------------------------------

    def note_left_out(self) -> None:
        traces = [
            trace for same in self._folders.values() for each in same for trace in folders_in(each / "traces")
        ]
        self._report.leave("traces", len(traces), "slipstream keeps no traces yet")
        assessments = sum(1 for trace in traces for _ in files_below(trace / "assessments"))
        self._report.leave("assessments of traces", assessments, "slipstream keeps no traces yet")

    def own_places(self) -> list[str]:
        places = [str(self._root), str(self._root.parent / "mlartifacts")]
        return [*places, "mlflow-artifacts:/"]

    def artifacts(self, uri: str) -> ArtifactStore:
        return open_store(uri, root_for_proxy=self._served_from or self._root.parent / "mlartifacts")

    def close(self) -> None:
        pass


class _Points:
    """Reads the points of one run when it is called."""

    def __init__(self, folder: Path, run_id: str, report: Report) -> None:
        self._folder = folder
        self._run_id = run_id
        self._report = report

    def __call__(self) -> Iterator[Sequence[Metric]]:
        points: list[Metric] = []
        for key, path in files_below(self._folder):
            try:
                for lines in read_lines(path, _LINES):
                    points += self._read(key, lines)
                    if len(points) >= _LINES:
                        yield points
                        points = []
            except InvalidParameterError as error:
                self._report.fail("run", f"{self._run_id}, metric '{key}'", error)
        if points:
            yield points

    def _read(self, key: str, lines: Sequence[str]) -> Iterator[Metric]:
        for line in lines:
            try:
                yield _point(key, line)
            except InvalidParameterError as error:
                self._report.fail("run", f"{self._run_id}, metric '{key}'", error)


def _point(key: str, line: str) -> Metric:
    """Read a line of a run's metric: time, value, and since MLflow 1.0 the step.

    Since 3.0 the name and digest of a data set may follow. MLflow itself reads such lines with step 0.
    """
    parts = line.split()
    try:
        return Metric(key, float(parts[1]), int(parts[0]), int(parts[2]) if len(parts) > 2 else 0)
    except (IndexError, ValueError) as error:
        raise InvalidParameterError(
            f"The line {line.strip()[:100]!r} is none of a metric: time, value and step."
        ) from error


def _model_point(key: str, line: str, model_id: str) -> Metric:
    """Read a line of a logged model's metric: time, value, step, run, and maybe name and digest of a data set."""
    parts = line.strip().split(" ")
    try:
        timestamp, value, step, run_id = int(parts[0]), float(parts[1]), int(parts[2]), parts[3]
    except (IndexError, ValueError) as error:
        raise InvalidParameterError(
            f"The line {line.strip()[:100]!r} is none of a model's metric: time, value, step and run."
        ) from error
    dataset, digest = (" ".join(parts[4:-1]), parts[-1]) if len(parts) > 5 else (None, None)
    return Metric(key, value, timestamp, step, model_id, dataset, digest, run_id)


def _run_folders(experiment: Path) -> list[Path]:
    return [folder for folder in folders_in(experiment) if folder.name not in _RESERVED]


def _files(folder: Path) -> Path | None:
    """Return the folder of a run's or model's files, if there are any."""
    files = folder / "artifacts"
    if files.is_symlink() or next(files_below(files), None) is None:
        return None
    return files


def _dataset(datasets: Path, dataset_id: str) -> Dataset:
    if "/" in dataset_id or dataset_id in ("", ".", "..") or not (datasets / dataset_id).is_dir():
        raise InvalidParameterError(f"the data set {dataset_id[:100]!r} is missing.")
    meta = read_yaml(datasets / dataset_id / META, VALUE)
    return Dataset(
        name=_text(meta, "name"),
        digest=_text(meta, "digest"),
        source_type=_text(meta, "source_type"),
        source=_text(meta, "source"),
        schema=_text(meta, "schema") or None,
        profile=_text(meta, "profile") or None,
    )


def _require_number(meta: dict[str, Any], number: str) -> None:
    told = _text(meta, "version")
    if told != number or not (number.isascii() and number.isdigit()):
        raise InvalidParameterError(f"its {META} says that it is {told[:100]!r}.")


def _text(meta: dict[str, Any], key: str) -> str:
    """Return a value as text; YAML takes some for numbers, and empty ones for nothing."""
    value = meta.get(key)
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidParameterError(f"'{key}' is no text in its {META}.")


def _number(meta: dict[str, Any], key: str) -> int | None:
    value = meta.get(key)
    if value is None:
        return None
    if type(value) is not int:
        raise InvalidParameterError(f"'{key}' is {str(value)[:100]!r} in its {META}, and no whole number.")
    return value
