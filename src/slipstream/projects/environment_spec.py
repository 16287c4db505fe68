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
_PYTHON_RULE = re.compile(r"(?P<operator>>=|<=|==|!=|~=|>|<)\s*(?P<version>\d+(?:\.\d+){0,2})(?P<any>\.\*)?")
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
    """What an environment consists of."""

    python: str | None = None
    """A Python version such as 3.11, or a rule such as >=3.9,<3.13; `None` is any."""
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    """Limits of what the requirements may pull in."""
    files: tuple[Path, ...] = ()
    """Files of the project that decide what is installed: those that were read, and archives that they name."""


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
    lines.files.append(file)
    if file.suffix == ".txt":
        lines.read_file(file, constraint=False)
        return lines.spec(None)
    content = read_mapping(file)
    if kind == CONDA:
        python = _translate_conda(content, file, lines)
        return lines.spec(python)
    python = _python_of(content, file)
    # build_dependencies (pip, setuptools) are for pip's way of building; uv brings what a build declares.
    lines.read(_texts(content, "dependencies", file), file, constraint=False, depth=0)
    return lines.spec(python)


def wanted_python(file: Path, kind: str) -> str | None:
    """Return the Python that a YAML file of an environment asks for; `None` if it leaves that open."""
    content = read_mapping(file)
    if kind != CONDA:
        return _python_of(content, file)
    for dependency in content.get("dependencies") or ():
        if isinstance(dependency, str):
            name, versions = _split_conda(dependency, file)
            if name == "python":
                return _conda_python(versions, file)
    return None


def _python_of(content: Mapping[str, Any], file: Path) -> str | None:
    version = content.get("python")
    if version is None:
        return None
    if not _PYTHON_VERSION.fullmatch(str(version)):
        raise InvalidParameterError(
            f"'python' of '{file.name}' must be a version such as 3.11, got {version!r}."
        )
    return str(version)


def fits(rule: str, version: str) -> bool:
    """Tell whether a Python version such as 3.11.7 fits a version (its patch release may be open) or a rule."""
    actual = _numbers(version)
    if _PYTHON_VERSION.fullmatch(rule):
        return actual[: rule.count(".") + 1] == _numbers(rule)
    return all(_fits_part(part, actual) for part in rule.split(","))


def lines_that_fit(rule: str) -> list[str]:
    """Return the lines of Python, such as 3.11, that have a release which fits."""
    return [
        f"3.{minor}" for minor in range(6, 30) if any(fits(rule, f"3.{minor}.{patch}") for patch in range(40))
    ]


def _fits_part(part: str, actual: tuple[int, ...]) -> bool:
    match = _PYTHON_RULE.fullmatch(part.strip())
    if match is None:
        return False
    wanted = _numbers(match["version"])
    padded = (*wanted, 0, 0)[:3]
    same_line = actual[: len(wanted)] == wanted
    match match["operator"]:
        case "==":
            return same_line
        case "!=":
            return not (same_line if match["any"] else actual == padded)
        case "~=":
            return actual >= padded and actual[: len(wanted) - 1] == wanted[:-1]
        case ">=":
            return actual >= padded
        case ">":
            return actual > padded
        case "<=":
            return actual <= padded
        case _:
            return actual < padded


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


class _Lines:
    """Collects requirements and constraints, following includes inside one folder."""

    def __init__(self, root: Path) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.files: list[Path] = []
        """All that was read, and archives that lines name."""
        self._root = root

    def spec(self, python: str | None) -> EnvironmentSpec:
        files = tuple(dict.fromkeys(self.files))
        return EnvironmentSpec(python, tuple(self.requirements), tuple(self.constraints), files)

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
        self.files.append(file)
        try:
            text = file.read_text(encoding="utf-8").replace("\\\n", " ")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidParameterError(
                f"The requirements file '{file}' cannot be read: {error}. Save it as UTF-8 text."
            ) from error
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
            self.files.append(path)
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
    if versions in ("", "*"):
        return None
    rule = ",".join(_conda_versions(versions, file))
    if not all(_PYTHON_RULE.fullmatch(part) for part in rule.split(",")):
        raise InvalidParameterError(
            f"'{file.name}': python version '{versions}' is not understood; write python=3.11 or python>=3.9,<3.13."
        )
    if not lines_that_fit(rule):
        raise InvalidParameterError(
            f"'{file.name}': no Python 3 fits python{versions}; write python=3.11 or python>=3.9,<3.13."
        )
    return rule


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
        exact = re.fullmatch(r"==\s*(?P<version>[\w+!]+(?:\.[\w+!]+)*)(?P<any>\.?\*)?(?:[\s=]+\S+)?", text)
        ordered = re.fullmatch(r"(?P<operator>[<>]=?|~=)\s*(?P<version>[\w.+!]+?)(?:\.?\*)?(?:\s+\S+)?", text)
        if exact is not None:
            yield f"=={exact['version']}{'.*' if exact['any'] else ''}"
        elif ordered is not None:
            yield f"{ordered['operator']}{ordered['version']}"  # conda lets >=1.26.* pass, PEP 440 does not
        elif text.startswith("!="):
            yield text
        elif fuzzy is not None:
            yield f"=={fuzzy['version']}.*"
        elif text not in ("", "*"):
            raise InvalidParameterError(f"'{file.name}': the version '{text}' is not understood.")
