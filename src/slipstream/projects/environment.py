"""Python environments for projects, built by uv once and found again by what they are locked to.

    <root>/locks/<hash of the request>.txt      what uv resolved the request to
    <root>/<hash of the lock>/                  the environment

Where a lock names a file or folder of this machine, both hashes are also over that: the same name, and even the same
version, may be other code tomorrow.

Both are made under another name and renamed, so that each is there entirely or not at all, and two processes
may build the same one at once. A request that was resolved before asks nobody: reuse takes no network and
next to no time. To resolve anew, remove the file in `locks`. What is there, and who uses it, is the subject of
`environment_cache`.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import msgspec

from slipstream.errors import ExecutionError
from slipstream.projects.environment_cache import BUILDING, environment_root, hold, require_own
from slipstream.projects.environment_spec import EnvironmentSpec, fits, lines_that_fit
from slipstream.projects.progress import say

_LAYOUT = "1"  # of the folders below; a new number leaves old environments alone
_LOCAL_URL = re.compile(
    r"(?:(?P<name>[\w.-]+)\s*(?:\[[^]]*\])?\s*@\s*)?file:(?://(?:localhost)?)?(?P<path>/[^\s;#]*)"
)
_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in")
_NO_SOURCES = ("__pycache__", "build", "dist", "node_modules")
_INDEXES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_PRERELEASE",
    "UV_EXCLUDE_NEWER",
)


class Environment(msgspec.Struct, frozen=True):
    """A built environment."""

    folder: Path
    lock: str
    """What is installed, as the lines of a requirements file."""

    @property
    def programs(self) -> Path:
        """The folder of `python` and the other programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.programs / ("python.exe" if os.name == "nt" else "python")

    def has(self, distribution: str) -> bool:
        """Tell whether a distribution is installed, by its normal name."""
        return any(
            line.startswith((f"{distribution}==", f"{distribution} @")) for line in self.lock.splitlines()
        )


def prepare(spec: EnvironmentSpec) -> Environment:
    """Return the environment for a specification, building it if it is not there yet.

    Raises:
        ExecutionError: uv is missing, the requirements cannot be met, or the Python version cannot be had.
        InvalidStateError: the folder of environments belongs to somebody else.
    """
    root = environment_root()
    variables = _uv_variables()
    interpreter, version = _interpreter(spec.python, variables)
    lock = _lock(spec, interpreter, version, root, variables)
    local = _digests_of_local((*spec.requirements, *lock.splitlines()))
    key = _digest(_LAYOUT, lock, version, sys.platform, platform.machine(), platform.libc_ver()[0], *local)
    folder = root / key
    environment = Environment(folder, lock)
    if environment.python.exists():
        require_own(folder)
        if hold(folder):
            say(f"Environment {key[:12]}: reused ({folder})")
            return environment
    if folder.exists():  # its base interpreter is gone
        shutil.rmtree(folder)
    _build(environment, interpreter, root, variables)
    while not hold(folder):  # removed, in the moment since
        _build(environment, interpreter, root, variables)
    return environment


# -- resolving --------------------------------------------------------------------------------------


def _lock(
    spec: EnvironmentSpec, interpreter: str, version: str, root: Path, variables: dict[str, str]
) -> str:
    indexes = [f"{name}={variables[name]}" for name in _INDEXES if name in variables]
    request = _digest(
        _LAYOUT,
        version,
        sys.platform,
        platform.machine(),
        *spec.requirements,
        "-c",
        *spec.constraints,
        *indexes,
        *_digests_of_local(spec.requirements),
    )
    path = root / "locks" / f"{request}.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    lock = _resolve(spec, interpreter, version, variables) if spec.requirements else ""
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(lock)
    Path(name).replace(path)
    return lock


def _resolve(spec: EnvironmentSpec, interpreter: str, version: str, variables: dict[str, str]) -> str:
    say(f"Resolving {len(spec.requirements)} requirements for Python {version} ...")
    with tempfile.TemporaryDirectory(prefix="slipstream-lock-") as scratch:
        requirements = Path(scratch, "requirements.in")
        requirements.write_text("\n".join(spec.requirements) + "\n", encoding="utf-8")
        options: list[str] = []
        if spec.constraints:
            constraints = Path(scratch, "constraints.txt")
            constraints.write_text("\n".join(spec.constraints) + "\n", encoding="utf-8")
            options = ["--constraints", str(constraints)]
        options += _refresh_folders(spec.requirements, variables)
        arguments = ["pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        # Named, or uv would look for one of its own and find, for example, a slow shim.
        arguments += ["--python", interpreter, "--python-version", version]
        return _uv(
            [*arguments, *options, str(requirements)], variables, "The project's requirements cannot be met"
        )


# -- building ---------------------------------------------------------------------------------------


def _build(environment: Environment, interpreter: str, root: Path, variables: dict[str, str]) -> None:
    count = sum(1 for line in environment.lock.splitlines() if line.strip())
    say(f"Building environment {environment.folder.name[:12]} with {count} packages ...")
    building = Path(tempfile.mkdtemp(prefix=BUILDING, dir=root))  # 0700
    try:
        content = Environment(building / "env", environment.lock)
        # Relocatable: its programs find Python by their own place, which the renaming changes.
        _uv(
            [
                "venv",
                "--quiet",
                "--relocatable",
                "--no-project",
                "--python",
                interpreter,
                str(content.folder),
            ],
            variables,
            "The environment cannot be made",
        )
        if count:
            lock = building / "lock.txt"
            lock.write_text(environment.lock, encoding="utf-8")
            arguments = ["pip", "install", "--no-deps", "--python", str(content.python), "-r", str(lock)]
            arguments += _refresh_folders(environment.lock.splitlines(), variables)
            _uv(arguments, variables, "The project's requirements cannot be installed", show=True)
        content.folder.chmod(0o700)
        try:
            content.folder.rename(environment.folder)
        except OSError:
            # Another process was faster, and its environment is as good.
            if not environment.python.exists():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _interpreter(wanted: str | None, variables: dict[str, str]) -> tuple[str, str]:
    """Return an interpreter (a path, or a version for uv to fetch) and its version; the running one if it fits.

    A wanted patch release that is not here is replaced by another of the same line: fetching or compiling
    one takes minutes or is impossible, and patch releases are compatible.
    """
    running = platform.python_version()
    if wanted is None or fits(wanted, running):
        return sys.executable, running
    if not wanted[0].isdigit():
        found = _find_python(wanted, variables)
        if found is not None:
            return found, _version_of(found)
        # uv fetches one, or says why it cannot; the nearest to what runs here.
        line = min(
            lines_that_fit(wanted), key=lambda each: abs(int(each.split(".")[1]) - sys.version_info[1])
        )
        return line, line
    line = ".".join(wanted.split(".")[:2])
    for version in dict.fromkeys((wanted, line)):
        if version == line and running.startswith(f"{line}."):
            found = sys.executable
        else:
            found = _find_python(version, variables)
        if found is not None:
            actual = running if found == sys.executable else _version_of(found)
            if not fits(wanted, actual):
                say(f"Python {wanted} is not installed; using {actual} of the same line.")
            return found, actual
    return wanted, wanted  # uv fetches it, or says why it cannot


def _find_python(version: str, variables: dict[str, str]) -> str | None:
    done = subprocess.run(  # an argument list; the version is digits and dots
        [_uv_program(), "python", "find", "--system", "--no-project", "--no-python-downloads", version],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _version_of(interpreter: str) -> str:
    code = "import platform; print(platform.python_version())"
    done = subprocess.run(  # an interpreter that uv found
        [interpreter, "-I", "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ExecutionError(f"The Python interpreter '{interpreter}' does not work: {done.stderr.strip()}")
    return done.stdout.strip()


# -- uv ---------------------------------------------------------------------------------------------


def _uv_variables() -> dict[str, str]:
    """Return this process's variables for uv, with pip's settings under uv's names where those are unset."""
    variables = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")
    }
    for pip_name, uv_name, separator in (
        ("PIP_FIND_LINKS", "UV_FIND_LINKS", ","),
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", " "),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX", " "),
    ):
        value = variables.get(pip_name, "").split()
        if value and uv_name not in variables:
            variables[uv_name] = separator.join(value)
    return variables


def _uv_program() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        program = shutil.which("uv")
    if program is None:
        raise ExecutionError(
            "Environments are built by uv, which is not installed. Install it (pip install uv), or run in the "
            "environment you are in with --env-manager local."
        )
    return program


def _uv(arguments: list[str], variables: dict[str, str], failure: str, *, show: bool = False) -> str:
    """Run uv and return its output; `show` lets people at a terminal watch its progress."""
    watched = show and sys.stderr.isatty()
    done = subprocess.run(  # an argument list
        [_uv_program(), *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if watched else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = "see above" if watched else done.stderr.strip()
        raise ExecutionError(f"{failure}: {reason}")
    return done.stdout


def _digest(*parts: str) -> str:
    # Each part with its length, so that no two lists of parts look alike.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


def _local_paths(lines: Iterable[str]) -> dict[Path, str | None]:
    """Return the files and folders of this machine that requirements name, and their distributions if said."""
    found: dict[Path, str | None] = {}
    for line in lines:
        match = _LOCAL_URL.match(line.strip())
        if match is not None:
            path = Path(unquote(match["path"]))
            found[path] = match["name"] or found.get(path)
        elif Path(line).is_absolute():
            found.setdefault(Path(line), None)
    return found


def _refresh_folders(lines: Iterable[str], variables: dict[str, str]) -> list[str]:
    """Return options that make uv build folders anew: it looks only whether their pyproject.toml has changed."""
    paths = _local_paths(lines)
    names = [name for path, name in paths.items() if name is not None and path.is_dir()]
    if names and variables.get("UV_OFFLINE"):  # uv refuses the options then
        _uv(["cache", "clean", "--quiet", *names], variables, "uv's cache cannot be cleaned")
        return []
    return [f"--refresh-package={name}" for name in names]


def _digests_of_local(lines: Iterable[str]) -> list[str]:
    return [_digest_of_local(path) for path in _local_paths(lines)]


def _digest_of_local(path: Path) -> str:
    try:
        if path.is_dir():
            return _digest_of_folder(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""  # uv says so, or nobody needs it: a lock may name a file of yesterday's temporary folder
    except OSError as error:
        raise ExecutionError(f"The requirement '{path}' cannot be read: {error.strerror}.") from error


def _may_be_source(folder: Path) -> bool:
    return not (
        folder.name.startswith(".")
        or folder.name.endswith(".egg-info")
        or folder.name in _NO_SOURCES
        or (folder / "pyvenv.cfg").exists()
    )


def _digest_of_folder(folder: Path) -> str:
    """Return what changes when the sources in a folder do. Contents are not read: a checkout may hold data too."""
    top = folder / "src" if (folder / "src").is_dir() else folder
    files = [file for name in _BUILD_FILES if (file := folder / name).is_file()]
    for parent, folders, names in os.walk(top):
        folders[:] = [name for name in folders if _may_be_source(Path(parent, name))]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    parts: list[str] = []
    for file in sorted(set(files)):
        status = file.lstat()
        parts += [str(file.relative_to(folder)), str(status.st_size), str(status.st_mtime_ns)]
    return _digest(*parts)
