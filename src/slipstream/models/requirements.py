"""What a model needs to run again: pinned distributions, found in milliseconds.

MLflow loads the model in a second process and watches its imports, which takes ten seconds and more. Here
the needed modules are read off the model itself: what the flavor says, what its classes and functions
refer to, and what its Python files import. Their versions come from the installed metadata.
"""

import ast
import dis
import functools
import importlib.util
import inspect
import itertools
import re
import sys
import types
from collections import deque
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
        names = {distribution_name(line) for line in given}
        pins = {pin.lower(): pin for name in needed if (pin := pinned(name)) is not None}
        found = [pins[key] for key in sorted(pins) if distribution_name(pins[key]) not in names]
    lines = [*found, *given]
    if not any(distribution_name(line) in ("mlflow", "mlflow-skinny") for line in lines):
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
    return [line for line in lines if distribution_name(line) not in ("mlflow", "mlflow-skinny")]


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


def distribution_name(line: str) -> str:
    """Return the normal name of the distribution that a requirement asks for; the line if it names none."""
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
    unknown: dict[str, set[str]] = {}
    for name in modules:
        module = name.partition(".")[0]
        if not module or module in sys.stdlib_module_names or module in _OURS or module.startswith("_"):
            continue
        guess = _DISTRIBUTIONS.get(module, module)
        if guess in names:
            continue
        if guess and not _is_namespace(module) and pinned(guess) is not None:
            names.add(guess)
        else:
            unknown.setdefault(module, set()).add(name)
    if unknown:
        table = metadata.packages_distributions()  # reads every RECORD: only when a short guess failed
        for module, used in unknown.items():
            names |= _owners(used, set(table.get(module, [])))
    return sorted(names)


def _is_namespace(module: str) -> bool:
    """Tell whether a top-level module has no file of its own, so that several distributions may put parts there."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # in the middle of its import, or made by hand
        return False
    return found is not None and found.origin is None


def _owners(modules: set[str], candidates: set[str]) -> set[str]:
    """Return which distributions of the same top-level module have these modules; all of them if their files do not say."""
    if len(candidates) < 2:  # nothing to choose from
        return candidates
    found: set[str] = set()
    files = {name: {file.parts for file in metadata.files(name) or ()} for name in candidates}
    # `google` is also said by whoever imports `google.cloud`, and adds nothing to that.
    deep = {name for name in modules if "." in name} or modules
    for module in deep:
        parts = tuple(module.split("."))
        tries = (
            {name for name in candidates if _has_module(files[name], parts[:length])}
            for length in range(len(parts), 0, -1)
        )
        found |= next(filter(None, tries), candidates)
    return found


def _has_module(files: set[tuple[str, ...]], module: tuple[str, ...]) -> bool:
    depth = len(module)
    return any(
        file[: depth - 1] == module[:-1]
        and len(file) >= depth
        and (file[depth - 1] == module[-1] if len(file) > depth else file[-1].partition(".")[0] == module[-1])
        for file in files
    )


def modules_of(value: Any) -> set[str]:
    """Return the modules that a Python object refers to: its class, its attributes, what its code names.

    Looks at each object once and at most at 50,000 of them, those that are nearest first.
    """
    walk = _Walk()
    walk.add(value)
    walk.run()
    return walk.found


def modules_of_source(source: str) -> set[str]:
    """Return the modules that Python code imports.

    `from a import b` is `a.b`, which may be a module or a name in one.

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
            # Of a namespace package only the longer name tells whose module it is.
            found.update(
                node.module if alias.name == "*" else f"{node.module}.{alias.name}" for alias in node.names
            )
    return found


_MAX_OBJECTS = 50_000
_MAX_CHILDREN = 200  # of one container: data is long, and its items are alike
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})


class _Walk:
    """Goes through objects breadth first, so that neither depth nor cycles matter."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        # Holds the objects too: the id of one that is gone may be another's.
        self._seen: dict[int, Any] = {}
        self._queue: deque[Any] = deque()

    def add(self, value: Any) -> None:
        if type(value) in _PLAIN or id(value) in self._seen or len(self._seen) >= _MAX_OBJECTS:
            return
        self._seen[id(value)] = value
        self._queue.append(value)

    def run(self) -> None:
        while self._queue:
            self._visit(self._queue.popleft())

    def _visit(self, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            self.found.add(value.__name__)
        elif isinstance(value, types.FunctionType):
            self._visit_function(value)
        elif isinstance(value, types.MethodType):
            self.add(value.__func__)
            self.add(value.__self__)
        elif isinstance(value, type):
            self._visit_class(value)
        else:
            self._visit_instance(value)

    def _visit_instance(self, value: Any) -> None:
        self.add(type(value))
        children: list[Any] = []
        if isinstance(value, dict):
            children += itertools.islice(cast("dict[Any, Any]", value).values(), _MAX_CHILDREN)
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            children += itertools.islice(cast("list[Any]", value), _MAX_CHILDREN)
        elif isinstance(value, functools.partial):
            partial = cast("functools.partial[Any]", value)
            children += [partial.func, *partial.args, *partial.keywords.values()]
        # Loggers, locks and the like lead to all of the process.
        owner = cast("object", value)
        cls = type(owner)
        if cls is types.SimpleNamespace or not _is_standard(cls.__module__):
            children += getattr(owner, "__dict__", {}).values()
        for child in children:
            self.add(child)

    def _visit_class(self, cls: type) -> None:
        for base in cls.__mro__:
            self.found.add(base.__module__)
            if _is_local(base.__module__) and base.__module__.partition(".")[0] not in _OURS - {"__main__"}:
                for member in vars(base).values():
                    plain = inspect.unwrap(getattr(member, "__func__", member))
                    if isinstance(plain, types.FunctionType):
                        self.add(plain)

    def _visit_function(self, function: types.FunctionType) -> None:
        module = function.__module__ or ""
        self.found.add(module)
        if not _is_local(module) or module.partition(".")[0] in _OURS - {"__main__"}:
            return
        codes = [function.__code__]
        while codes:
            code = codes.pop()
            codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
            self.found |= _imports_of(code)
            for name in code.co_names:
                if name in function.__globals__:
                    self.add(function.__globals__[name])
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # the cell is still empty: a recursive function being defined
                continue


def _imports_of(code: types.CodeType) -> set[str]:
    found: set[str] = set()
    imported = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            imported = str(instruction.argval)
            found.add(imported)
        elif instruction.opname == "IMPORT_FROM":
            found.add(f"{imported}.{instruction.argval}")
    return found


def _is_standard(module: str | None) -> bool:
    return (module or "").partition(".")[0] in sys.stdlib_module_names


def _is_local(module: str | None) -> bool:
    """Tell whether a module is the user's own code rather than an installed distribution's."""
    top = (module or "").partition(".")[0]
    if _is_standard(module) and top != "__main__":
        return False
    # A namespace package has no file, but its modules do.
    known = sys.modules.get(module or "") or sys.modules.get(top)
    file = getattr(known, "__file__", None)
    return top == "__main__" or file is None or "site-packages" not in file
