"""Tables as artifacts: rows that grow, in JSON (`columns` and `data`) or Parquet."""

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from slipstream.errors import InvalidParameterError, MissingDependencyError

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore

_PIECE_BYTES = 1 << 20
LOGGED_ARTIFACTS_TAG = "mlflow.loggedArtifacts"
_FORBIDDEN = "\"',:[]{}"
_SUFFIXES = (".json", ".parquet")


def check_table_path(path: str) -> None:
    """Refuse paths that the tag which lists a run's tables, or the file formats, cannot bear."""
    if bad := next((char for char in path if char in _FORBIDDEN), None):
        raise InvalidParameterError(f"The artifact_file '{path}' contains the forbidden character {bad}")
    if PurePosixPath(path).suffix not in _SUFFIXES:
        raise InvalidParameterError(f"The artifact_file '{path}' of a table must end in .json or .parquet.")


def to_frame(data: Any) -> Any:
    """Return a data frame made of a dictionary (of columns, or of one row) or copied from a data frame."""
    pandas = _pandas()
    if isinstance(data, pandas.DataFrame):
        return data.copy(deep=False)
    if isinstance(data, dict):
        try:
            return pandas.DataFrame(data)
        except ValueError:  # no columns of one length: then it is one row, as in MLflow
            return pandas.DataFrame([data])
    raise InvalidParameterError(
        f"Table data must be a pandas DataFrame or a dictionary, not {type(data).__name__}."
    )


def append(old: Any, new: Any) -> Any:
    return _pandas().concat([old, new], ignore_index=True)


def write_table(frame: Any, path: str) -> bytes:
    """Return a data frame as the content of a table file."""
    if path.endswith(".parquet"):
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    try:
        return frame.to_json(orient="split", index=False, date_format="iso").encode()
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameterError(f"The table for '{path}' cannot be written as JSON: {error}.") from error


def read_table(content: bytes, path: str) -> Any:
    """Return the data frame that a table file holds."""
    pandas = _pandas()
    if path.endswith(".parquet"):
        return pandas.read_parquet(io.BytesIO(content))
    return pandas.read_json(io.StringIO(content.decode()), orient="split")


def append_rows(store: "ArtifactStore", path: str, rows: Any, *, may_be_there: bool = False) -> None:
    """Add rows to a table, which is made if it is new.

    With `may_be_there` not if the table ends with them: they were sent before, and no answer came.
    """
    if store.stat(path) is not None:
        with store.open(path) as file:
            old = read_table(b"".join(iter(lambda: file.read(_PIECE_BYTES), b"")), path)
        if may_be_there and _ends_with(old, rows, path):
            return
        rows = append(old, rows)
    store.write(path, [write_table(rows, path)])


def list_with(listed: str | None, path: str) -> str | None:
    """Return the value of the tag that lists a run's tables, with one more; `None` if it is listed."""
    known = json.loads(listed or "[]")
    entry = {"path": path, "type": "table"}
    return None if entry in known else json.dumps([*known, entry])


def _ends_with(old: Any, rows: Any, path: str) -> bool:
    if len(old) < len(rows) or not set(rows.columns) <= set(old.columns):
        return False
    end = old[list(rows.columns)].tail(len(rows)).reset_index(drop=True)
    new = read_table(write_table(rows, path), path)
    return end.to_json(orient="split", date_format="iso") == new.to_json(orient="split", date_format="iso")


def image_columns(frame: Any) -> list[Any]:
    """Return the columns that hold pictures.

    Raises:
        InvalidParameterError: a column holds pictures and other things.
    """
    found: list[Any] = []
    for column in frame.columns:
        if frame[column].dtype != object:
            continue
        pictures = [_is_image(value) for value in frame[column]]
        if any(pictures) and not all(pictures):
            raise InvalidParameterError(
                f"Column '{column}' holds images and other values; make it one or the other."
            )
        if pictures and all(pictures):
            found.append(column)
    return found


def _is_image(value: Any) -> bool:
    return callable(getattr(value, "save", None)) and callable(getattr(value, "resize", None))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError("Tables need pandas: pip install pandas.") from error
    return pandas
