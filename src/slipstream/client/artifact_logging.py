"""`SlipstreamClient`: files of runs and models."""

import functools
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from slipstream.artifact_store.paths import clean_path
from slipstream.client import artifacts
from slipstream.client.connect import connect
from slipstream.client.images import series_paths, thumbnail, to_image
from slipstream.client.runs import RunCalls
from slipstream.client.scratch import scratch_folder
from slipstream.client.transfer import PIECE_BYTES, is_folder, join, upload_file, upload_folder
from slipstream.client.values import MILLISECONDS, require_text, to_int64
from slipstream.clock import now_ms
from slipstream.entities import FileInfo
from slipstream.errors import (
    InvalidParameterError,
    NotFoundError,
)

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore
    from slipstream.entities import Run

LOGGED_IMAGES_TAG = "mlflow.loggedImages"
_YAML = (".yaml", ".yml")
_PLOTLY_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".svg", ".pdf")
_TABLE_RUNS_PAGE = 1000


class ArtifactCalls(RunCalls):
    # -- files and folders --------------------------------------------------------------------------

    def log_artifact(self, run_id: str, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Store a file, or a folder under its own name, in the run's folder `artifact_path`."""
        self._put(run_id, lambda store: _log_path(store, Path(local_path), artifact_path))

    def log_artifacts(self, run_id: str, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Store what is in a folder in the run's folder `artifact_path`."""
        self._put(run_id, lambda store: upload_folder(store, Path(local_dir), _folder(artifact_path)))

    def log_stream(self, run_id: str, stream: BinaryIO, artifact_file: str) -> None:
        """Store all that can be read from a binary stream as one file."""
        chunks = iter(lambda: stream.read(PIECE_BYTES), b"")
        if not stream.seekable():
            if not hasattr(self._store, "stage_files"):
                self._files(run_id).write(clean_path(require_text(artifact_file, "artifact_file")), chunks)
                return
            # What is read cannot be read again, so it is kept until it is stored.
            with tempfile.TemporaryFile() as kept:
                shutil.copyfileobj(stream, kept, PIECE_BYTES)
                kept.seek(0)
                self.log_stream(run_id, kept, artifact_file)
            return
        start = stream.tell()

        def put(store: "ArtifactStore") -> None:
            stream.seek(start)
            store.write(clean_path(require_text(artifact_file, "artifact_file")), chunks)

        self._put(run_id, put)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Store a text as UTF-8."""
        self._write(run_id, artifact_file, [require_text(text, "text").encode()])

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Store a dictionary or list as YAML if the name ends so, else as JSON.

        Raises:
            InvalidParameterError: it holds what the format cannot.
        """
        if require_text(artifact_file, "artifact_file").lower().endswith(_YAML):
            import yaml

            try:
                text = yaml.safe_dump(
                    dictionary, default_flow_style=False, allow_unicode=True, sort_keys=False
                )
            except yaml.YAMLError as error:
                raise InvalidParameterError(
                    f"'{artifact_file}' cannot be written as YAML: {error}. Give plain dictionaries, lists, texts and "
                    "numbers."
                ) from error
        else:
            try:
                text = json.dumps(dictionary, indent=2, default=_to_json)
            except (TypeError, ValueError) as error:
                raise InvalidParameterError(
                    f"'{artifact_file}' cannot be written as JSON: {error}."
                ) from error
        self.log_text(run_id, text, artifact_file)

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Store a matplotlib or plotly figure in the format that the name's ending says."""
        kwargs = dict(save_kwargs or {})
        library = type(figure).__module__.partition(".")[0]
        suffix = PurePosixPath(artifact_file).suffix.lower()
        buffer = io.BytesIO()
        if library == "plotly":
            if suffix == ".html":
                page = figure.to_html(**{"include_plotlyjs": "cdn", "auto_open": False, **kwargs})
                buffer.write(page.encode())
            elif suffix in _PLOTLY_PICTURES:
                figure.write_image(buffer, format=suffix[1:], **kwargs)
            else:
                raise InvalidParameterError(
                    f"A plotly figure can be stored as .html, {', '.join(_PLOTLY_PICTURES)}; "
                    f"not as '{artifact_file}'."
                )
        elif callable(getattr(figure, "savefig", None)):
            figure.savefig(buffer, **{"format": suffix[1:] or "png", **kwargs})
        else:
            raise InvalidParameterError(
                f"A figure must be of matplotlib or plotly, not {type(figure).__module__}."
                f"{type(figure).__name__}."
            )
        self._write(run_id, artifact_file, [buffer.getvalue()])

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,  # stored when the call returns, always
    ) -> None:
        """Store a picture as a file of its own, or with `key` as one of a series, with a thumbnail.

        Raises:
            InvalidParameterError: not exactly one of `artifact_file` and `key` is given, or it is no picture.
        """
        if artifact_file is not None and any(part is not None for part in (key, step, timestamp)):
            raise InvalidParameterError("'artifact_file' stands alone; 'step' and 'timestamp' go with 'key'.")
        picture = to_image(image)
        if artifact_file is not None:
            self._write(run_id, artifact_file, [_picture_bytes(picture, artifact_file)])
            return
        if key is None:
            raise InvalidParameterError("Give 'artifact_file' for a single image or 'key' for a series.")
        full, small = series_paths(
            key,
            0 if step is None else to_int64(step, "step"),
            now_ms() if timestamp is None else to_int64(timestamp, "timestamp", MILLISECONDS),
        )
        self._write(run_id, full, [_picture_bytes(picture, full)])
        self._write(run_id, small, [_picture_bytes(thumbnail(picture), small)])
        self.set_tag(run_id, LOGGED_IMAGES_TAG, True)

    # -- tables -------------------------------------------------------------------------------------

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Append rows to a table, a `.json` or `.parquet` file, which is made if it is new.

        Two processes that append to one table at the same time may lose one's rows.
        """
        from slipstream.client import tables

        tables.check_table_path(artifact_file)
        frame = tables.to_frame(data)
        for column in tables.image_columns(frame):
            frame[column] = [self._log_table_image(run_id, image, artifact_file) for image in frame[column]]
        path = clean_path(artifact_file)
        spooled: Any = self._store
        if not hasattr(spooled, "stage_table"):
            tables.append_rows(self._files(run_id), path, frame)
            self._list_table(run_id, path, self.get_run(run_id))
            return
        may_be_there = False
        place = spooled.place_of_files(require_text(run_id, "run_id"))
        if place is not None:
            try:
                may_be_there = True
                tables.append_rows(self.connection.artifacts(place, patient=False), path, frame)
            except spooled.away as error:
                spooled.shipper.gone(error)
            else:
                run = spooled.look_at_run(run_id)
                if run is not None:
                    self._list_table(run_id, path, run)
                    return
        spooled.stage_table(run_id, path, tables.write_table(frame, path), may_be_there=may_be_there)

    def _list_table(self, run_id: str, path: str, run: "Run") -> None:
        from slipstream.client import tables

        listed = tables.list_with(run.data.tags.get(tables.LOGGED_ARTIFACTS_TAG), path)
        if listed is not None:
            self.set_tag(run_id, tables.LOGGED_ARTIFACTS_TAG, listed)

    def _log_table_image(self, run_id: str, image: Any, artifact_file: str) -> dict[str, str]:
        import uuid

        stem = join("table_images", str(PurePosixPath(artifact_file).with_suffix("")), str(uuid.uuid4()))
        picture = to_image(image)
        full, small = stem + ".png", stem + ".webp"
        self._write(run_id, full, [_picture_bytes(picture, full)])
        self._write(run_id, small, [_picture_bytes(thumbnail(picture), small)])
        return {"type": "image", "filepath": full, "compressed_filepath": small}

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> Any:
        """Return one data frame of the tables of this name in an experiment's runs, or in those given.

        `extra_columns` are columns of `search_runs`, such as `run_id`, to be added to each row.

        Raises:
            NotFoundError: no such run has the table.
        """
        from slipstream.client import frames, tables

        tables.check_table_path(artifact_file)
        runs = [
            run
            for run in self._runs_of(experiment_id, run_ids)
            if any(
                entry.get("path") == artifact_file
                for entry in json.loads(run.data.tags.get(tables.LOGGED_ARTIFACTS_TAG, "[]"))
            )
        ]
        if not runs:
            raise NotFoundError(f"No run of experiment '{experiment_id}' has the table '{artifact_file}'.")
        rows = frames.runs_to_pandas(runs) if extra_columns else None
        path = clean_path(artifact_file)
        whole: Any = None
        for index, run in enumerate(runs):
            frame = tables.read_table(_content(self._files(run.info.run_id), path), path)
            for column in extra_columns or ():
                if rows is None or column not in rows:
                    known = "" if rows is None else ", ".join(rows.columns)
                    raise InvalidParameterError(f"No run has a column '{column}'. There are: {known}.")
                name = f"{column}_" if column in frame else column
                frame[name] = rows[column].iloc[index]
            whole = frame if whole is None else tables.append(whole, frame)
        return whole

    def _runs_of(self, experiment_id: str, run_ids: Sequence[str] | None) -> Iterator[Any]:
        if run_ids:
            yield from (self.get_run(run_id) for run_id in run_ids)
            return
        token: str | None = None
        while True:
            page = self.search_runs([experiment_id], max_results=_TABLE_RUNS_PAGE, page_token=token)
            yield from page
            if (token := page.token) is None:
                return

    # -- reading ------------------------------------------------------------------------------------

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """List a folder of a run, not what is in its folders; paths are relative to the run."""
        return artifacts.list_artifacts(run_id=run_id, artifact_path=path, tracking_uri=self.tracking_uri)

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """Return a local path that holds a file or folder of a run; see `slipstream.artifacts`."""
        return artifacts.download_artifacts(
            run_id=run_id, artifact_path=path, dst_path=dst_path, tracking_uri=self.tracking_uri
        )

    # -- logged models ------------------------------------------------------------------------------

    def log_model_artifact(
        self, model_id: str, local_path: str | Path, artifact_path: str | None = None
    ) -> None:
        """Store a file in a logged model's folder."""
        self._put_model(model_id, lambda store: _log_path(store, Path(local_path), artifact_path))

    def log_model_artifacts(
        self, model_id: str, local_dir: str | Path, artifact_path: str | None = None
    ) -> None:
        """Store what is in a folder in a logged model's folder."""
        self._put_model(model_id, lambda store: upload_folder(store, Path(local_dir), _folder(artifact_path)))

    def list_logged_model_artifacts(self, model_id: str, path: str | None = None) -> list[FileInfo]:
        return list(self._model_files(model_id).list(_folder(path)))

    # -- inside -------------------------------------------------------------------------------------

    def _files(self, run_id: str) -> "ArtifactStore":
        return self.connection.artifacts(_artifact_uri(self.tracking_uri, require_text(run_id, "run_id")))

    def _model_files(self, model_id: str) -> "ArtifactStore":
        store = self._store
        return self.connection.artifacts(store.get_logged_model(model_id).artifact_location)

    def _put_model(self, model_id: str, write: "Callable[[ArtifactStore], object]") -> None:
        """Store files of a logged model; keep them here while the server of one that this process began is away."""
        spooled: Any = self._store
        if not hasattr(spooled, "stage_files"):
            write(self._model_files(model_id))
            return
        place = spooled.place_of_model_files(require_text(model_id, "model_id"))
        if place is not None:
            try:
                write(self.connection.artifacts(place, patient=False))
            except spooled.away as error:
                spooled.shipper.gone(error)
            else:
                return
        spooled.stage_files(spooled.get_logged_model(model_id).source_run_id or "", write, model_id)

    def _write(self, run_id: str, artifact_file: str, chunks: Sequence[bytes]) -> None:
        path = clean_path(require_text(artifact_file, "artifact_file"))
        self._put(run_id, lambda store: store.write(path, chunks))

    def _put(self, run_id: str, write: "Callable[[ArtifactStore], object]") -> None:
        """Store files of a run; keep them here while the server is away, to be sent with what else was logged.

        Args:
            run_id: whose.
            write: puts the files into a store; it may be called twice.
        """
        spooled: Any = self._store
        if not hasattr(spooled, "stage_files"):
            write(self._files(run_id))
            return
        place = spooled.place_of_files(require_text(run_id, "run_id"))
        if place is not None:
            try:
                write(self.connection.artifacts(place, patient=False))
            except spooled.away as error:
                spooled.shipper.gone(error)
            else:
                return
        spooled.stage_files(run_id, write)


@functools.lru_cache(maxsize=1024)
def _artifact_uri(tracking_uri: str, run_id: str) -> str:
    """Return a run's storage URI; it never changes, so that logging many files asks once."""
    return connect(tracking_uri).store.get_run(run_id).info.artifact_uri


def _folder(artifact_path: str | None) -> str:
    return clean_path(artifact_path) if artifact_path else ""


def _log_path(store: "ArtifactStore", local: Path, artifact_path: str | None) -> None:
    target = join(_folder(artifact_path), local.name)
    if is_folder(local):
        upload_folder(store, local, target)
    else:
        upload_file(store, local, target)


def _content(store: "ArtifactStore", path: str) -> bytes:
    with store.open(path) as file:
        return b"".join(iter(lambda: file.read(PIECE_BYTES), b""))


def _picture_bytes(picture: Any, path: str) -> bytes:
    # Through a file of that name, since Pillow has a format for each ending and not all can be buffers.
    with scratch_folder("slipstream-image-") as folder:
        file = folder / ("image" + PurePosixPath(path).suffix)
        try:
            picture.save(file)
        except (ValueError, OSError) as error:
            raise InvalidParameterError(f"The image cannot be stored as '{path}': {error}.") from error
        return file.read_bytes()


def _to_json(value: Any) -> Any:
    """Turn what json does not know, but MLflow's users log: numpy values, times."""
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    if callable(getattr(value, "isoformat", None)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
