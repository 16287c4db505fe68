"""MLproject files: what a project is called, how it can be run, and which environment it needs."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects.entry_points import (
    PATH,
    SCRIPT_ENDINGS,
    EntryPoint,
    parse_entry_point,
    script_entry_point,
)
from slipstream.projects.mapping_file import read_mapping
from slipstream.projects.progress import say

FILE_NAME = "mlproject"
PYTHON_ENV_FILE = "python_env.yaml"
CONDA_FILE = "conda.yaml"
REQUIREMENTS_FILE = "requirements.txt"

PYTHON = "python_env"
CONDA = "conda_env"
DOCKER = "docker_env"
SPARK = "databricks_spark_job"
_ENVIRONMENTS = (PYTHON, CONDA, DOCKER)
_KEYS = ("name", "entry_points", *_ENVIRONMENTS, SPARK)


class DockerEnvironment(msgspec.Struct, frozen=True):
    """An image to run in; `environment` holds names to copy and (name, value) pairs to set."""

    image: str
    volumes: tuple[str, ...] = ()
    environment: tuple[str | tuple[str, str], ...] = ()


class SparkJob(msgspec.Struct, frozen=True):
    """A Databricks job; read so that the file is understood, not run by any backend of ours."""

    python_file: str | None = None
    parameters: tuple[str, ...] = ()
    python_libraries: tuple[Any, ...] = ()


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project folder and what its MLproject file says."""

    folder: Path
    name: str | None = None
    entry_points: dict[str, EntryPoint] = {}
    environment_file: Path | None = None
    """python_env.yaml, conda.yaml or requirements.txt: declared, or found in the folder."""
    environment_kind: str | None = None
    """`python_env` or `conda_env`, by which the file is read; requirements.txt counts as `python_env`."""
    passed_over: Path | None = None
    """A conda.yaml beside the python_env.yaml that is used, where the MLproject file names neither."""
    docker: DockerEnvironment | None = None
    spark: SparkJob | None = None

    def entry_point(self, name: str) -> EntryPoint:
        """Return a declared entry point, or the one that a script of this name is.

        Raises:
            ExecutionError: there is neither.
        """
        if self.spark is not None:
            raise ExecutionError(
                "The project has a 'databricks_spark_job', which can only run on Databricks. "
                "Add an entry point with a command in a project of its own to run it here."
            )
        if name in self.entry_points:
            return self.entry_points[name]
        script = script_entry_point(name, self.folder)
        if script is None:
            known = ", ".join(f"'{each}'" for each in self.entry_points) or "none"
            raise ExecutionError(
                f"Could not find '{name}' among entry points ({known}) or as a script in '{self.folder}'. "
                f"Name one of them with -e, or a file that ends in {', '.join(SCRIPT_ENDINGS)}."
            )
        return script


def load_project(folder: Path) -> Project:
    """Read the MLproject file of a folder; without one, its scripts are the entry points.

    Raises:
        InvalidParameterError: a key has a wrong value; the message names both.
    """
    file = _find_file(folder)
    content: Mapping[str, Any] = {} if file is None else read_mapping(file)
    _warn_about_unknown(content)
    _require_one_environment(content)
    entries: Any = content.get("entry_points") or {}
    if not isinstance(entries, Mapping):
        raise InvalidParameterError(
            f"MLproject: 'entry_points' must be a mapping of names to commands, got {entries!r}."
        )
    name = content.get("name")
    entry_points = {
        str(key): parse_entry_point(str(key), value)
        for key, value in cast("Mapping[Any, Any]", entries).items()
    }
    kind, environment_file = _environment(content, folder)
    conda = folder / CONDA_FILE
    found = environment_file is not None and not content.get(PYTHON) and not content.get(CONDA)
    ambiguous = (
        found and kind == PYTHON and environment_file != folder / REQUIREMENTS_FILE and conda.is_file()
    )
    return Project(
        folder=folder,
        name=None if name is None else str(name),
        entry_points=entry_points,
        environment_file=environment_file,
        environment_kind=kind,
        passed_over=conda if ambiguous else None,
        docker=_docker(content.get(DOCKER)),
        spark=_spark(content.get(SPARK), content, entry_points),
    )


def _find_file(folder: Path) -> Path | None:
    found = sorted(each for each in folder.iterdir() if each.name.lower() == FILE_NAME and each.is_file())
    return found[0] if found else None


def _warn_about_unknown(content: Mapping[str, Any]) -> None:
    """Say which keys mean nothing. MLflow ignores them silently, so that a misspelt one is hard to find."""
    for key in content:
        if key not in _KEYS:
            similar = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f" Did you mean '{similar[0]}'?" if similar else ""
            say(f"MLproject: the key '{key}' is not known and ignored.{hint}")


def _require_one_environment(content: Mapping[str, Any]) -> None:
    given = [key for key in _ENVIRONMENTS if content.get(key)]
    if len(given) > 1:
        raise InvalidParameterError(
            f"MLproject: only one environment is possible, got {' and '.join(given)}."
        )
    if given and content.get(SPARK) is not None:
        raise InvalidParameterError(f"MLproject: '{SPARK}' excludes '{given[0]}'. Remove one of them.")


def _environment(content: Mapping[str, Any], folder: Path) -> tuple[str | None, Path | None]:
    for kind in (PYTHON, CONDA):
        declared = content.get(kind)
        if declared:
            return kind, _declared_file(kind, declared, folder)
    if content.get(DOCKER) or content.get(SPARK) is not None:
        return None, None
    for kind, name in ((PYTHON, PYTHON_ENV_FILE), (CONDA, CONDA_FILE), (PYTHON, REQUIREMENTS_FILE)):
        if (folder / name).is_file():
            return kind, folder / name
    return None, None


def _declared_file(kind: str, declared: Any, folder: Path) -> Path:
    if not isinstance(declared, str):
        raise InvalidParameterError(f"MLproject: '{kind}' must be the path of a file, got {declared!r}.")
    path = folder / declared
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidParameterError(f"MLproject: '{kind}' must be a file in the project, got '{declared}'.")
    if not path.is_file():
        raise InvalidParameterError(f"MLproject: '{kind}' names '{declared}', but there is no such file.")
    return path


def _docker(content: Any) -> DockerEnvironment | None:
    if not content:
        return None
    if not isinstance(content, Mapping):
        raise InvalidParameterError(f"MLproject: '{DOCKER}' must be a mapping with 'image', got {content!r}.")
    fields = cast("Mapping[str, Any]", content)
    image = fields.get("image")
    if not image or not isinstance(image, str):
        raise InvalidParameterError(f"MLproject: '{DOCKER}' needs an 'image', got {image!r}.")
    volumes: Any = fields.get("volumes") or []
    if not _is_list_of(volumes, str):
        raise InvalidParameterError(
            f"MLproject: 'volumes' of '{DOCKER}' must be a list such as ['/path1:/path1'], got {volumes!r}."
        )
    variables: Any = fields.get("environment") or []
    if not isinstance(variables, list):
        raise InvalidParameterError(
            f"MLproject: 'environment' of '{DOCKER}' must be a list, got {variables!r}."
        )
    return DockerEnvironment(
        image=image,
        volumes=tuple(cast("list[str]", volumes)),
        environment=tuple(_variable(each) for each in cast("list[Any]", variables)),
    )


def _variable(entry: Any) -> str | tuple[str, str]:
    if isinstance(entry, str):
        return entry
    if _is_list_of(entry, str) and len(entry) == 2:  # a pair
        return entry[0], entry[1]
    raise InvalidParameterError(
        f"MLproject: 'environment' of '{DOCKER}' holds names to copy and [name, value] pairs, got {entry!r}."
    )


def _spark(
    content: Any, document: Mapping[str, Any], entry_points: Mapping[str, EntryPoint]
) -> SparkJob | None:
    if SPARK not in document or content is None:
        return None
    if not isinstance(content, Mapping):
        raise InvalidParameterError(f"MLproject: '{SPARK}' must be a mapping, got {content!r}.")
    fields = cast("Mapping[str, Any]", content)
    python_file = fields.get("python_file")
    if (python_file is None) == (not entry_points):
        raise InvalidParameterError(
            f"MLproject: '{SPARK}' needs either 'python_file' or 'entry_points' in the file, "
            f"got python_file {python_file!r} and {len(entry_points)} entry points."
        )
    for entry_point in entry_points.values():
        for parameter in entry_point.parameters:
            if parameter.type == PATH:
                raise InvalidParameterError(
                    f"MLproject: '{SPARK}' allows no parameter of type path, got '{parameter.name}'."
                )
    return SparkJob(
        python_file=None if python_file is None else str(python_file),
        parameters=tuple(str(each) for each in fields.get("parameters") or ()),
        python_libraries=tuple(fields.get("python_libraries") or ()),
    )


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in cast("list[Any]", value))
