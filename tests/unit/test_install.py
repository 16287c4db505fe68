"""The wheel, in an empty environment with nothing but what it asks for."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def _run(*argv: str | Path, cwd: Path) -> str:
    """Run a program in `cwd`, away from the checkout, and return its standard output."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "COV_", "SLIPSTREAM_", "MLFLOW_"))
    }
    if "PIP_FIND_LINKS" in environment:
        environment.setdefault("UV_FIND_LINKS", environment["PIP_FIND_LINKS"])
    done = subprocess.run(
        [str(a) for a in argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> str:
    from uv import find_uv_bin

    return find_uv_bin()


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run(uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(uv: str, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel and its runtime dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    _run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    path = folder / "venv" / "bin" / "python"
    _run(uv, "pip", "install", "--quiet", "--python", path, "-c", ROOT / "dev.lock", wheel, cwd=folder)
    return path


def test_the_wheel_carries_what_the_package_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    # Everything under src/slipstream that is not Python is read at run time: SQL, pages, the py.typed mark.
    package = ROOT / "src"
    data = {
        path.relative_to(package).as_posix()
        for path in (package / "slipstream").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert "slipstream/db/schema.sql" in data
    assert data <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert all(name.startswith(("slipstream/", "slipstream-")) for name in names)


def test_the_package_imports_without_extras(python: Path, tmp_path: Path) -> None:
    said = _run(
        python, "-c", "import slipstream; print(slipstream.__version__, slipstream.__file__)", cwd=tmp_path
    )
    version, file = said.split()
    assert version
    assert Path(file).is_relative_to(python.parents[1])


def test_the_command_lists_its_commands(python: Path, tmp_path: Path) -> None:
    program = python.with_name("slipstream")
    said = _run(program, "--help", cwd=tmp_path)
    listed = [
        line.split()[0] for line in said.partition("Commands:")[2].splitlines() if line.startswith("  ")
    ]
    assert {"server", "run", "models", "demo"} <= set(listed)
    for name in listed:
        assert "Usage:" in _run(program, name, "--help", cwd=tmp_path)
