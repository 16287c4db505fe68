"""Entry points: which parameters they take, and the command that given values make."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec

from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects.command import check_fields, fill, split_template

FLOAT = "float"
PATH = "path"
STRING = "string"
URI = "uri"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two characters at least: C: is a drive
SCRIPT_ENDINGS = (".py", ".sh", ".R")


class Parameter(msgspec.Struct, frozen=True):
    """A declared parameter; without a default it must be given.

    Types other than float, path and uri are text, as in MLflow, where projects write `int` or `str` too.
    """

    name: str
    type: str = STRING
    default: str | None = None


class Command(msgspec.Struct, frozen=True):
    """What to run, and what to log about it."""

    argv: list[str]
    params: dict[str, str]
    """Every parameter as given or by default, unquoted; files named by a URI stay URIs."""


class EntryPoint(msgspec.Struct, frozen=True):
    """One way to run a project."""

    name: str
    parameters: tuple[Parameter, ...]
    command: str | tuple[str, ...]
    """A template as text, or the words of one that is split already."""

    def words(self) -> list[str]:
        """Return the command's words with its fields.

        Checked only here, so that a project can be run whose other entry points need a shell.

        Raises:
            InvalidParameterError: the command needs a shell, or has a field that is no parameter.
        """
        where = f"entry point '{self.name}'"
        words = (
            split_template(self.command, where=where) if isinstance(self.command, str) else list(self.command)
        )
        check_fields(words, [each.name for each in self.parameters], where=where)
        return words

    def build(self, given: Mapping[str, Any], folder: Path, storage_dir: Path) -> Command:
        """Return the command for these values.

        Parameters that are not declared are appended as `--name value`.

        Args:
            given: values by parameter name.
            folder: the project's, where defaults of type path are looked for first.
            storage_dir: where to download files named by a URI; made when it is needed.

        Raises:
            ExecutionError: parameters without default are missing.
            InvalidParameterError: a value is not of its parameter's type.
        """
        words = self.words()
        texts = {str(name): str(value) for name, value in given.items()}
        missing = [each.name for each in self.parameters if each.default is None and each.name not in texts]
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise ExecutionError(
                f"No value given for missing parameters: {names}. Give them to entry point '{self.name}' with "
                f"-P {missing[0]}=VALUE."
            )
        logged: dict[str, str] = {}
        values: dict[str, str] = {}
        for index, parameter in enumerate(self.parameters):
            text = texts.get(parameter.name)
            base = None if text is not None else folder
            logged[parameter.name] = text = text if text is not None else cast("str", parameter.default)
            values[parameter.name] = _resolve(parameter, text, base, storage_dir, index)
        extra = {name: text for name, text in texts.items() if name not in values}
        argv = fill(words, values, where=f"entry point '{self.name}'")
        for name, text in extra.items():
            argv += [f"--{name}", text]
        for name, text in {**values, **extra}.items():
            if "\0" in text or "\0" in name:
                raise InvalidParameterError(
                    f"Parameter {name!r} has a NUL character, which no program can be given."
                )
        return Command(argv, {**logged, **extra})


def parse_entry_point(name: str, content: Any) -> EntryPoint:
    """Read one entry of `entry_points`.

    Raises:
        InvalidParameterError: a key has a value of the wrong kind; names both.
    """
    where = f"entry point '{name}'"
    if not isinstance(content, Mapping):
        raise InvalidParameterError(
            f"MLproject: {where} must be a mapping with a 'command', got {content!r}."
        )
    entry = cast("Mapping[str, Any]", content)
    command = entry.get("command")
    if not isinstance(command, str):
        raise InvalidParameterError(f"MLproject: 'command' of {where} must be text, got {command!r}.")
    declared: Any = entry.get("parameters") or {}
    if not isinstance(declared, Mapping):
        raise InvalidParameterError(
            f"MLproject: 'parameters' of {where} must be a mapping of names to types, got {declared!r}."
        )
    parameters = tuple(
        _parse_parameter(str(key), value, where) for key, value in cast("Mapping[Any, Any]", declared).items()
    )
    return EntryPoint(name, parameters, command)


def script_entry_point(name: str, folder: Path) -> EntryPoint | None:
    """Return the entry point that a script of the project is, `None` if it is none.

    Raises:
        InvalidParameterError: the script would be outside of the project.
    """
    if not name.endswith(SCRIPT_ENDINGS):
        return None
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidParameterError(f"Entry point '{name}' is outside of the project folder '{folder}'.")
    if not path.is_file():
        return None
    # A name with a dash in front would be an option.
    script = name if not name.startswith("-") else f"./{name}"
    # The words are templates, so braces of a file name are doubled.
    literal = script.replace("{", "{{").replace("}", "}}")
    if name.endswith(".py"):
        words = ("python", literal)
    elif name.endswith(".sh"):
        words = (os.environ.get("SHELL") or "bash", literal)
    else:
        quoted = literal.replace("\\", "\\\\").replace("'", "\\'")
        words = ("Rscript", "-e", f"mlflow::mlflow_source('{quoted}')", "--args")
    return EntryPoint(name, (), words)


def _parse_parameter(name: str, content: Any, where: str) -> Parameter:
    if isinstance(content, str):
        return Parameter(name, content)
    if not isinstance(content, Mapping):
        raise InvalidParameterError(
            f"MLproject: parameter '{name}' of {where} must be a type such as 'float' or a mapping with 'type' "
            f"and 'default', got {content!r}."
        )
    fields = cast("Mapping[str, Any]", content)
    kind = fields.get("type", STRING)
    if not isinstance(kind, str):
        raise InvalidParameterError(
            f"MLproject: type of parameter '{name}' of {where} must be text, got {kind!r}."
        )
    default = fields.get("default")
    if isinstance(default, (Mapping, list)):
        raise InvalidParameterError(
            f"MLproject: default of parameter '{name}' of {where} must be text or a number, got {default!r}."
        )
    text = None if default is None else str(default)
    if text is not None and kind == FLOAT:
        _check_float(name, text)
    return Parameter(name, kind, text)


def _check_float(name: str, text: str) -> None:
    try:
        float(text)
    except ValueError as error:
        raise InvalidParameterError(
            f"Parameter '{name}' must be a number (type float), got '{text}'."
        ) from error


def _resolve(parameter: Parameter, text: str, base: Path | None, storage_dir: Path, index: int) -> str:
    if parameter.type == FLOAT:
        _check_float(parameter.name, text)
    elif parameter.type == URI:
        if not urlsplit(text).scheme:
            raise InvalidParameterError(
                f"Parameter '{parameter.name}' must be a URI with a scheme (type uri), got '{text}'. "
                "A local file is written file:///path."
            )
    elif parameter.type == PATH:
        return _resolve_path(parameter.name, text, base, storage_dir, index)
    return text


def _resolve_path(name: str, text: str, base: Path | None, storage_dir: Path, index: int) -> str:
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[0].lower() != "file:":
        return _download(text, storage_dir, index)
    path = Path(unquote(urlsplit(text).path) if scheme is not None else text).expanduser()
    if base is not None and not path.is_absolute() and (base / path).exists():
        path = base / path
    if not path.exists():
        raise InvalidParameterError(
            f"Parameter '{name}' must be an existing file or folder (type path), got '{text}', which is not there."
        )
    return os.path.abspath(path)  # noqa: PTH100  # links stay, as in MLflow


def _download(uri: str, storage_dir: Path, index: int) -> str:
    from slipstream.client.artifacts import download_artifacts

    storage_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = storage_dir / f"param_{index}"
    target.mkdir()
    return download_artifacts(artifact_uri=uri, dst_path=str(target))
