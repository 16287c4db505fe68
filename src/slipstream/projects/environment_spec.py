"""Read what an environment consists of: python_env.yaml, requirements.txt, or conda.yaml translated to PyPI.

Every line is checked to be a requirement before anything else sees it, so that a file cannot smuggle options
or shell text into an installer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.models.requirements import check_line
from slipstream.projects.mapping_file import read_mapping
from slipstream.projects.progress import say
from slipstream.projects.project import CONDA

_PYTHON_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")
_CONDA_PACKAGE = re.compile(r"(?:[\w./-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<versions>(?:[<>=!~ ].*)?)")
# Conda's name, where PyPI has another. Packages of other languages and systems have none.
_PYPI_NAMES = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python",
    "py-lightgbm": "lightgbm",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "pytorch": "torch",
    "pytorch-lightning": "pytorch-lightning",
}
_NOT_FOR_PYTHON = re.compile(
    r"(?:cuda.*|cudnn|gcc.*|gxx.*|r-.+|r|lib(?!rosa|cst|sass|tmux|xc$).+|openssl|openjdk|nodejs|make|cmake|compilers|blas|mkl)"
)
_MAX_DEPTH = 20


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """A Python version (`None` is any), requirements, and constraints on what these may pull in."""

    python: str | None = None
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


def read_spec(file: Path, kind: str, project_folder: Path) -> EnvironmentSpec:
    """Read an environment file.

    Args:
        file: the file.
        kind: how to read it: `conda_env` or `python_env`; a .txt is a requirements file.
        project_folder: where included files must be.

    Raises:
        InvalidParameterError: a line is no requirement, an include leads out of the project, or a conda
            package has no counterpart on PyPI.
    """
    lines = _Lines(project_folder.resolve())
    if file.suffix == ".txt":
        lines.read_file(file, constraint=False)
        return EnvironmentSpec(None, tuple(lines.requirements), tuple(lines.constraints))
    content = read_mapping(file)
    if kind == CONDA:
        python = _translate_conda(content, file, lines)
        return EnvironmentSpec(python, tuple(lines.requirements), tuple(lines.constraints))
    python: str | None = None
    if (version := content.get("python")) is not None:
        python = str(version)
        if not _PYTHON_VERSION.fullmatch(python):
            raise InvalidParameterError(
                f"'python' of '{file.name}' must be a version such as 3.11, got {version!r}."
            )
    # build_dependencies (pip, setuptools) are for pip's way of building; uv brings what a build declares.
    lines.read(_texts(content, "dependencies", file), file, constraint=False, depth=0)
    return EnvironmentSpec(python, tuple(lines.requirements), tuple(lines.constraints))


class _Lines:
    """Collects requirements and constraints, following includes inside one folder."""

    def __init__(self, root: Path) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self._root = root

    def read_file(self, file: Path, *, constraint: bool, depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise InvalidParameterError(
                f"'{file.name}' is included more than {_MAX_DEPTH} deep; does it include itself?"
            )
        if not file.resolve().is_relative_to(self._root):
            raise InvalidParameterError(
                f"The requirements file '{file}' is outside of the project. Copy it inside."
            )
        if not file.is_file():
            raise InvalidParameterError(f"The requirements file '{file}' does not exist.")
        text = file.read_text(encoding="utf-8").replace("\\\n", " ")
        self.read(text.splitlines(), file, constraint=constraint, depth=depth)

    def read(self, lines: Iterable[str], file: Path, *, constraint: bool, depth: int) -> None:
        for line in lines:
            include = re.fullmatch(
                r"\s*(-r|-c|--requirement|--constraint)[\s=]+(?P<path>\S.*?)(?:\s+#.*)?\s*", line
            )
            if include is not None:
                only_constraint = constraint or include[1] in ("-c", "--constraint")
                self.read_file(file.parent / include["path"], constraint=only_constraint, depth=depth + 1)
                continue
            text = self._check(line, file)
            if text:
                (self.constraints if constraint else self.requirements).append(text)

    def _check(self, line: str, file: Path) -> str:
        if line.strip().startswith("-"):
            raise InvalidParameterError(
                f"'{line.strip()}' in '{file.name}' is an installer's option, which a project may not set. "
                "Set UV_INDEX_URL, UV_EXTRA_INDEX_URL or UV_FIND_LINKS in your environment instead."
            )
        text = check_line(line)
        if text and "://" not in text and re.search(r"\.(?:whl|zip|tar\.gz)$", text):
            path = (file.parent / text).resolve()
            if not path.is_relative_to(self._root) or not path.is_file():
                raise InvalidParameterError(f"'{text}' in '{file.name}' is no file of the project.")
            return str(path)
        return text


def _texts(content: Mapping[str, Any], key: str, file: Path) -> list[str]:
    value: Any = content.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[Any]", value)):
        raise InvalidParameterError(f"'{key}' of '{file.name}' must be a list of texts, got {value!r}.")
    return cast("list[str]", value)


# -- conda ------------------------------------------------------------------------------------------


def _translate_conda(content: Mapping[str, Any], file: Path, lines: _Lines) -> str | None:
    """Collect a conda environment's packages as PyPI's and return its Python version."""
    dependencies: Any = content.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise InvalidParameterError(f"'dependencies' of '{file.name}' must be a list, got {dependencies!r}.")
    python: str | None = None
    translated: list[str] = []
    for dependency in cast("list[Any]", dependencies):
        if isinstance(dependency, Mapping):
            fields = cast("Mapping[str, Any]", dependency)
            if set(fields) != {"pip"}:
                raise InvalidParameterError(
                    f"'{file.name}': of mappings only 'pip' is known, got {dependency!r}."
                )
            lines.read(_texts(fields, "pip", file), file, constraint=False, depth=0)
            continue
        name, versions = _split_conda(dependency, file)
        if name == "python":
            python = _conda_python(versions, file)
        elif name not in ("pip", "setuptools", "wheel"):
            translated += _to_pypi(name, versions, file)
    if translated:
        say(f"{file.name}: conda packages are installed from PyPI: {', '.join(translated)}.")
        lines.read(translated, file, constraint=False, depth=0)
    return python


def _split_conda(dependency: Any, file: Path) -> tuple[str, str]:
    match = _CONDA_PACKAGE.fullmatch(dependency.strip()) if isinstance(dependency, str) else None
    if match is None:
        raise InvalidParameterError(
            f"'{file.name}': {dependency!r} is no conda package such as 'numpy=1.26'."
        )
    return match["name"].lower(), match["versions"].strip()


def _conda_python(versions: str, file: Path) -> str | None:
    found = re.fullmatch(r"=?=?\s*(\d+(?:\.\d+){0,2})(?:\.\*|\*)?(?:\s*=.*)?", versions)
    if found is not None:
        return found[1]
    lowest = re.match(r"\s*>=\s*(\d+\.\d+)", versions)
    if versions and lowest is None:
        raise InvalidParameterError(
            f"'{file.name}': python version '{versions}' is not understood; write python=3.11."
        )
    return lowest[1] if lowest is not None else None


def _to_pypi(name: str, versions: str, file: Path) -> Iterator[str]:
    if _NOT_FOR_PYTHON.fullmatch(name):
        raise InvalidParameterError(
            f"'{file.name}': the conda package '{name}' is not on PyPI, where packages are taken from. "
            "Install it on this machine and remove the line, or build the conda environment yourself, "
            "activate it and run with --env-manager local."
        )
    yield _PYPI_NAMES.get(name, name) + ",".join(_conda_versions(versions, file))


def _conda_versions(versions: str, file: Path) -> Iterator[str]:
    """Translate conda's versions to PEP 440: `=1.26` means 1.26.*, and a third part is a build to leave out."""
    for part in versions.split(",") if versions else ():
        text = part.strip()
        if "|" in text:
            raise InvalidParameterError(
                f"'{file.name}': the alternatives '{versions}' have no counterpart on PyPI."
            )
        fuzzy = re.fullmatch(r"=?\s*(?P<version>[\w.+!]+?)(?:\.?\*)?(?:[\s=]+\S+)?", text)
        exact = re.fullmatch(r"==\s*(?P<version>[\w.+!]+)", text)
        if exact is not None:
            yield f"=={exact['version']}"
        elif re.match(r"[<>!~]", text):
            yield text
        elif fuzzy is not None:
            yield f"=={fuzzy['version']}.*"
        elif text not in ("", "*"):
            raise InvalidParameterError(f"'{file.name}': the version '{text}' is not understood.")
