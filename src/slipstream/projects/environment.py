"""Python environments for projects, built by uv once and found again by what they are locked to.

    <root>/locks/<hash of the request>.txt      what uv resolved the request to
    <root>/<hash of the lock>/                  the environment

Both are made under another name and renamed, so that each is there entirely or not at all, and two processes
may build the same one at once. A request that was resolved before asks nobody: reuse takes no network and
next to no time. To resolve anew, remove the file in `locks`.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from slipstream import settings
from slipstream.errors import ExecutionError, InvalidStateError
from slipstream.models.trust import home
from slipstream.projects.environment_spec import EnvironmentSpec
from slipstream.projects.progress import say

_LAYOUT = "1"  # of the folders below; a new number leaves old environments alone
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
    root = _root()
    variables = _uv_variables()
    interpreter, version = _interpreter(spec.python, variables)
    lock = _lock(spec, interpreter, version, root, variables)
    key = _digest(_LAYOUT, lock, version, sys.platform, platform.machine(), platform.libc_ver()[0])
    folder = root / key
    environment = Environment(folder, lock)
    if environment.python.exists():
        _require_own(folder)
        say(f"Environment {key[:12]}: reused ({folder})")
        return environment
    if folder.exists():  # its base interpreter is gone
        shutil.rmtree(folder)
    _build(environment, interpreter, root, variables)
    return environment


def _root() -> Path:
    configured = settings.ENV_ROOT.get()
    root = Path(configured).expanduser().absolute() if configured else home().absolute() / "envs"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_own(root)
    locks = root / "locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    _require_own(locks)
    return root


def _require_own(folder: Path) -> None:
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise InvalidStateError(
            f"The environment folder '{folder}' belongs to another user or others may write to it, so what is in "
            "it cannot be trusted. Remove it, or set SLIPSTREAM_ENV_ROOT to a folder of your own."
        )


# -- resolving --------------------------------------------------------------------------------------


def _lock(
    spec: EnvironmentSpec, interpreter: str, version: str, root: Path, variables: dict[str, str]
) -> str:
    indexes = [f"{name}={variables[name]}" for name in _INDEXES if name in variables]
    files = [_digest_of_file(line) for line in spec.requirements if Path(line).is_absolute()]
    request = _digest(
        _LAYOUT,
        version,
        sys.platform,
        platform.machine(),
        *spec.requirements,
        "-c",
        *spec.constraints,
        *indexes,
        *files,
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
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=root))  # 0700
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
    """Return an interpreter (a path, or a version for uv to fetch) and its version.

    A wanted patch release that is not here is replaced by another of the same line: fetching or compiling
    one takes minutes or is impossible, and patch releases are compatible.
    """
    running = platform.python_version()
    if wanted is None or running == wanted or running.startswith(f"{wanted}."):
        return sys.executable, running
    line = ".".join(wanted.split(".")[:2])
    for version in dict.fromkeys((wanted, line)):
        if version == line and running.startswith(f"{line}."):
            found = sys.executable
        else:
            found = _find_python(version, variables)
        if found is not None:
            actual = running if found == sys.executable else _version_of(found)
            if not (actual == wanted or actual.startswith(f"{wanted}.")):
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


def _digest_of_file(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
