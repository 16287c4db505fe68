"""What a model needs to run again: pinned distributions, found in milliseconds.

MLflow loads the model in a second process and watches its imports, which takes ten seconds and more. Here
the needed modules are read off the model itself: what the flavor says, what its classes and functions
refer to, and what its Python files import. Their versions come from the installed metadata.
"""

import ast
import dis
import inspect
import re
import sys
import types
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.models.mlmodel import MLFLOW_FORMAT_VERSION

MLFLOW_LINE = f"mlflow=={MLFLOW_FORMAT_VERSION}"
"""First line of requirements.txt: with it MLflow's own tools can rebuild the environment and load the model.
Slipstream's environment builder replaces it with slipstream itself (`without_mlflow`)."""

CONSTRAINTS_FILE = "constraints.txt"

# Where the import name is not the distribution's: the common ones, to spare reading all metadata.
_DISTRIBUTIONS = {
    "PIL": "Pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "google": "",  # a namespace of many distributions; only the full table knows
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
_OURS = frozenset({"slipstream", "mlflow", "__main__", "__mp_main__"})

# PEP 508 without its corners: a name with extras, versions or a URL, and a marker. What does not match
# never reaches an installer, so a requirement cannot smuggle in options or shell text.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSIONS = r"(?:(?:===|~=|==|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+)"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*"
    rf"(?:\(?\s*{_VERSIONS}(?:\s*,\s*{_VERSIONS})*\s*\)?|@\s*[A-Za-z][A-Za-z0-9+.-]*:[^\s;`$|&<>\"'\\]+)?"
    r"\s*(?:;\s*[A-Za-z0-9_.\s()'\"<>=!~,+*-]+)?"
)
_LOCATION = re.compile(
    r"(?:(?:git|hg|svn|bzr)\+[a-z]+|https?|file)://[^\s;`$|&<>\"'\\]+|(?!-)[\w./+@=-]+\.(?:whl|tar\.gz|zip)"
)


class Requirements(msgspec.Struct, frozen=True):
    """The lines of requirements.txt, and of constraints.txt if there is one."""

    lines: list[str]
    constraints: list[str] = []


def collect(
    needed: Sequence[str],
    *,
    pip_requirements: str | Path | Sequence[str] | None = None,
    extra_pip_requirements: str | Path | Sequence[str] | None = None,
) -> Requirements:
    """Return the requirements of a model.

    Args:
        needed: names of distributions, to be pinned as installed; names that are not installed are left out.
        pip_requirements: the user's own list or file; it replaces what was found.
        extra_pip_requirements: lines to add to what was found; wins over a found line of the same name.

    Raises:
        InvalidParameterError: both lists were given, or a line is no requirement.
    """
    if pip_requirements is not None and extra_pip_requirements is not None:
        raise InvalidParameterError("Give either pip_requirements or extra_pip_requirements, not both")
    constraints: list[str] = []
    given = _read(pip_requirements if pip_requirements is not None else extra_pip_requirements, constraints)
    found: list[str] = []
    if pip_requirements is None:
        names = {_name(line) for line in given}
        pins = {pin.lower(): pin for name in needed if (pin := pinned(name)) is not None}
        found = [pins[key] for key in sorted(pins) if _name(pins[key]) not in names]
    lines = [*found, *given]
    if not any(_name(line) in ("mlflow", "mlflow-skinny") for line in lines):
        lines = [MLFLOW_LINE, *lines]
    if constraints:
        lines.append(f"-c {CONSTRAINTS_FILE}")
    return Requirements(lines, constraints)


def pinned(distribution: str) -> str | None:
    """Return `name==version` as installed, or `None` if it is not."""
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return None
    # A local label such as torch's +cpu is in no index, so a pin with it could not be installed.
    return f"{found.metadata['Name']}=={found.version.split('+')[0]}"


def without_mlflow(lines: Iterable[str]) -> list[str]:
    """Drop MLflow's own line, for an environment in which slipstream serves the model."""
    return [line for line in lines if _name(line) not in ("mlflow", "mlflow-skinny")]


def check_line(line: str) -> str:
    """Return a requirement line without its comment.

    Raises:
        InvalidParameterError: it is no requirement, such as an option or shell text.
    """
    text = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
    if text and not _REQUIREMENT.fullmatch(text) and not _LOCATION.fullmatch(text):
        raise InvalidParameterError(
            f"'{line}' is no requirement; write a name with versions such as 'numpy>=1.26', 'name @ https://...' or "
            "the path of a wheel"
        )
    return text


def _name(line: str) -> str:
    match = _REQUIREMENT.match(line)
    return re.sub(r"[-_.]+", "-", match["name"]).lower() if match else line


def _read(source: str | Path | Sequence[str] | None, constraints: list[str]) -> list[str]:
    if source is None:
        return []
    if isinstance(source, (str, Path)):
        return _read_file(Path(source), constraints)
    if not all(isinstance(line, str) for line in source):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidParameterError(f"pip requirements must be a file or a list of texts, got {source!r}")
    return _read_lines(source, Path(), constraints)


def _read_file(path: Path, constraints: list[str]) -> list[str]:
    if not path.is_file():
        raise InvalidParameterError(f"The requirements file '{path}' does not exist")
    return _read_lines(path.read_text(encoding="utf-8").splitlines(), path.parent, constraints)


def _read_lines(lines: Iterable[str], folder: Path, constraints: list[str]) -> list[str]:
    result: list[str] = []
    for line in lines:
        option, _, value = line.strip().partition(" ")
        if option in ("-r", "--requirement"):
            result += _read_file(folder / value.strip(), constraints)
        elif option in ("-c", "--constraint"):
            constraints += _read_file(folder / value.strip(), constraints)
        elif text := check_line(line):
            result.append(text)
    return result


# -- which modules does a model use -----------------------------------------------------------------
def distributions(modules: Iterable[str]) -> list[str]:
    """Return the distributions that provide these modules; the standard library and local files have none."""
    names: set[str] = set()
    unknown: set[str] = set()
    for module in {name.partition(".")[0] for name in modules}:
        if not module or module in sys.stdlib_module_names or module in _OURS or module.startswith("_"):
            continue
        guess = _DISTRIBUTIONS.get(module, module)
        if guess and pinned(guess) is not None:
            names.add(guess)
        else:
            unknown.add(module)
    if unknown:
        table = metadata.packages_distributions()  # reads every RECORD: only when a short guess failed
        names.update(name for module in unknown for name in table.get(module, [])[:1])
    return sorted(names)


def modules_of(value: Any) -> set[str]:
    """Return the modules that a Python object refers to: its class, its attributes, what its code names."""
    found: set[str] = set()
    _visit(value, found, set(), depth=0)
    return found


def modules_of_source(source: str) -> set[str]:
    """Return the modules that Python code imports.

    Raises:
        InvalidParameterError: it is no Python code.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InvalidParameterError(f"The model's Python file has a syntax error: {error}") from error
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


_MAX_DEPTH = 6


def _visit(value: Any, found: set[str], seen: set[int], *, depth: int) -> None:
    if id(value) in seen or depth > _MAX_DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, types.ModuleType):
        found.add(value.__name__)
    elif isinstance(value, types.FunctionType):
        _visit_function(value, found, seen, depth)
    elif isinstance(value, types.MethodType):
        _visit(value.__func__, found, seen, depth=depth + 1)
        _visit(value.__self__, found, seen, depth=depth + 1)
    elif isinstance(value, type):
        _visit_class(value, found, seen, depth)
    else:
        _visit(type(value), found, seen, depth=depth + 1)
        if isinstance(value, dict):
            children: Iterable[Any] = list(cast("dict[Any, Any]", value).values())[:200]
        elif isinstance(value, (list, tuple, set, frozenset)):
            children = list(cast("list[Any]", value))[:200]
        else:
            children = list(getattr(value, "__dict__", {}).values())
        for child in children:
            _visit(child, found, seen, depth=depth + 1)


def _is_local(module: str | None) -> bool:
    """Tell whether a module is the user's own code rather than an installed distribution's."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return False
    file = getattr(sys.modules.get(top), "__file__", None)
    return top == "__main__" or file is None or "site-packages" not in file


def _visit_class(cls: type, found: set[str], seen: set[int], depth: int) -> None:
    for base in cls.__mro__:
        found.add(base.__module__)
        if _is_local(base.__module__) and base.__module__.partition(".")[0] not in _OURS - {"__main__"}:
            for member in vars(base).values():
                plain = inspect.unwrap(getattr(member, "__func__", member))
                if isinstance(plain, types.FunctionType):
                    _visit_function(plain, found, seen, depth + 1)


def _visit_function(function: types.FunctionType, found: set[str], seen: set[int], depth: int) -> None:
    found.add(function.__module__ or "")
    if not _is_local(function.__module__) or function.__module__.partition(".")[0] in _OURS - {"__main__"}:
        return
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        for instruction in dis.get_instructions(code):
            if instruction.opname == "IMPORT_NAME":
                found.add(str(instruction.argval))
        for name in code.co_names:
            if name in function.__globals__:
                _visit(function.__globals__[name], found, seen, depth=depth + 1)
    for cell in function.__closure__ or ():
        try:
            _visit(cell.cell_contents, found, seen, depth=depth + 1)
        except ValueError:  # the cell is still empty: a recursive function being defined
            continue
