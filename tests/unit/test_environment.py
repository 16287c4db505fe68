"""Environments: which files are understood, what is refused, and what uv makes of them."""

import os
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from slipstream.errors import ExecutionError, InvalidParameterError, InvalidStateError
from slipstream.projects import environment
from slipstream.projects.environment import prepare
from slipstream.projects.environment_spec import EnvironmentSpec, fits, read_spec

# -- files ------------------------------------------------------------------------------------------


def python_env(folder: Path, text: str) -> EnvironmentSpec:
    (folder / "python_env.yaml").write_text(text)
    return read_spec(folder / "python_env.yaml", "python_env", folder)


def conda(folder: Path, text: str) -> EnvironmentSpec:
    (folder / "conda.yaml").write_text(text)
    return read_spec(folder / "conda.yaml", "conda_env", folder)


def test_python_env(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "# comment\nnumpy>=1.26  # why\n\n-r more.txt\n-c limits.txt\nscipy \\\n  >=1.0\n"
    )
    (tmp_path / "more.txt").write_text("pandas[excel]==2.1 ; python_version > '3.8'")
    (tmp_path / "limits.txt").write_text("six<2\n-r deeper.txt")
    (tmp_path / "deeper.txt").write_text("idna<4")
    spec = python_env(
        tmp_path,
        "python: 3.11.4\nbuild_dependencies: [pip, setuptools]\ndependencies: ['-r requirements.txt', mlflow]",
    )
    assert spec.python == "3.11.4"
    assert spec.requirements == (
        "numpy>=1.26",
        "pandas[excel]==2.1 ; python_version > '3.8'",
        "scipy    >=1.0",
        "mlflow",
    )
    assert spec.constraints == ("six<2", "idna<4")
    assert (
        read_spec(tmp_path / "requirements.txt", "python_env", tmp_path).requirements == spec.requirements[:3]
    )


def test_empty_files(tmp_path: Path) -> None:
    for spec in (python_env(tmp_path, ""), conda(tmp_path, "name: x")):
        assert (spec.python, spec.requirements, spec.constraints) == (None, (), ())
        assert len(spec.files) == 1


def test_the_files_that_decide_what_is_installed_are_named(tmp_path: Path) -> None:
    for name, text in (
        ("requirements.txt", "-r more.txt\n-c limits.txt\nown-1.0.tar.gz\n"),
        ("more.txt", "six"),
        ("limits.txt", "six<2"),
        ("own-1.0.tar.gz", ""),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    spec = read_spec(tmp_path / "requirements.txt", "python_env", tmp_path)
    names = {"requirements.txt", "more.txt", "limits.txt", "own-1.0.tar.gz"}
    assert {file.name for file in spec.files} == names


@pytest.mark.parametrize(
    "line",
    [
        "x; touch /tmp/pwned",
        "$(touch pwned)",
        "`id`",
        "numpy && id",
        "numpy | sh",
        "-e .",
        "--index-url https://evil.example",
        "--extra-index-url=https://evil.example",
        "-f /tmp",
        "--config-settings x",
        "-r ../outside.txt",
        "-r /etc/passwd",
        "-c ../outside.txt",
        "-r missing.txt",
        "../x.whl",
        "missing.whl",
        "numpy\nid",
    ],
)
def test_lines_that_are_no_requirements_are_refused(tmp_path: Path, line: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.txt").touch()
    (tmp_path / "x.whl").touch()
    import yaml

    text = yaml.safe_dump({"dependencies": [line]})
    with pytest.raises(InvalidParameterError, match="requirement|option|file of the project"):
        python_env(project, text)
    with pytest.raises(InvalidParameterError, match="requirement|option|file of the project"):
        conda(project, yaml.safe_dump({"dependencies": [{"pip": [line]}]}))


def test_requirements_that_include_themselves(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r requirements.txt")
    with pytest.raises(InvalidParameterError, match="include itself"):
        read_spec(tmp_path / "requirements.txt", "python_env", tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("python: latest", "'latest'"),
        ("python: 3.11; id", "3.11; id"),
        ("dependencies: numpy", "'dependencies'.*numpy"),
        ("dependencies: [1]", r"\[1\]"),
        ("[]", "mapping"),
        ("a: [", "YAML"),
    ],
)
def test_wrong_values_of_python_env(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"(?s){named}"):
        python_env(tmp_path, text)


def test_conda_is_translated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = conda(
        tmp_path,
        """
        name: x
        channels: [conda-forge]
        dependencies:
          - python=3.11
          - pip<=23.0
          - numpy=1.26
          - scipy=1.11.4=py311h64a7726_0
          - pandas==2.1.4
          - idna==3.*
          - click>=8.1.*
          - pytorch>=2.0,<3
          - conda-forge::py-xgboost 2.0.*
          - requests
          - pip: [mlflow>=2, "six==1.16.0"]
        """,
    )
    assert spec.python == "3.11"
    assert spec.requirements == (
        "mlflow>=2",
        "six==1.16.0",
        "numpy==1.26.*",
        "scipy==1.11.4.*",
        "pandas==2.1.4",
        "idna==3.*",
        "click>=8.1",
        "torch>=2.0,<3",
        "xgboost==2.0.*",
        "requests",
    )
    assert "installed from PyPI: numpy==1.26.*" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("python=3.10.4", "3.10.4"),
        ("python>=3.8", ">=3.8"),
        ("python >=3.9,<3.12", ">=3.9,<3.12"),
        ("python>=3.9.*,!=3.10.*", ">=3.9,!=3.10.*"),
        ("python=3.11,<3.11.5", "==3.11.*,<3.11.5"),
        ("python", None),
        ("python==3.11", "3.11"),
        ("python=3.11.*", "3.11"),
    ],
)
def test_python_of_conda(tmp_path: Path, text: str, version: str | None) -> None:
    assert conda(tmp_path, f"dependencies: ['{text}']").python == version


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("dependencies: [cudatoolkit=11]", "cudatoolkit"),
        ("dependencies: [r-base]", "r-base"),
        ("dependencies: [libgomp]", "libgomp"),
        ("dependencies: [openjdk=8]", "openjdk"),
        ("dependencies: ['numpy=1.2|1.3']", "1.2|1.3"),
        ("dependencies: ['$(id)']", "id"),
        ("dependencies: [7]", "7"),
        ("dependencies: [{npm: [x]}]", "npm"),
        ("dependencies: x", "'dependencies'"),
        ("dependencies: ['python<3']", "<3"),
        ("dependencies: ['python>=3.9,<3.8']", ">=3.9,<3.8"),
        ("dependencies: ['python>=three']", ">=three"),
    ],
)
def test_what_conda_has_and_pypi_has_not(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidParameterError, match=named):
        conda(tmp_path, text)


@pytest.mark.parametrize(
    ("rule", "fitting", "others"),
    [
        ("3.11", ["3.11.0", "3.11.12"], ["3.1.1", "3.12.0"]),
        ("3.11.4", ["3.11.4"], ["3.11.40", "3.11.5"]),
        (">=3.9,<3.12", ["3.9.0", "3.11.7"], ["3.8.20", "3.12.0", "3.12.1"]),
        (">3.10,<=3.11.2", ["3.10.1", "3.11.2"], ["3.10.0", "3.11.3"]),
        ("!=3.10.*", ["3.9.1", "3.11.0"], ["3.10.0", "3.10.9"]),
        ("!=3.10.2", ["3.10.1"], ["3.10.2"]),
        ("~=3.9", ["3.9.0", "3.13.1"], ["3.8.9"]),
        ("~=3.9.2", ["3.9.2", "3.9.20"], ["3.9.1", "3.10.0"]),
        ("==3.11.*", ["3.11.0"], ["3.12.0"]),
    ],
)
def test_rules_for_python(rule: str, fitting: list[str], others: list[str]) -> None:
    assert [version for version in fitting + others if fits(rule, version)] == fitting


# -- building ---------------------------------------------------------------------------------------


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return a wheel with a module and a program, so that no test needs an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    return make_wheel(folder, 42)


def make_wheel(folder: Path, value: int) -> Path:
    path = folder / "tinything-1.0-py3-none-any.whl"
    info = "tinything-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("tinything.py", f"VALUE = {value}\ndef main(): print(VALUE)\n")
        opened.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        opened.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        opened.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntiny = tinything:main\n")
        names = (
            "tinything.py",
            f"{info}/METADATA",
            f"{info}/WHEEL",
            f"{info}/entry_points.txt",
            f"{info}/RECORD",
        )
        opened.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))
    return path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheel: Path) -> Path:
    folder = tmp_path / "environments"
    monkeypatch.setenv("SLIPSTREAM_ENV_ROOT", str(folder))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))  # handed to uv under its own name
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    return folder


SPEC = EnvironmentSpec(None, ("tinything>=0.5",))


def run(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise AssertionError("uv was asked")

    monkeypatch.setattr(environment, "_uv_program", refuse)


def test_an_environment_is_built_once_and_then_found_without_uv(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built = prepare(SPEC)
    assert run(built.python, "-c", "import tinything; print(tinything.VALUE)") == "42"
    assert run(built.programs / "tiny") == "42", "programs work although the folder was renamed"
    assert run(built.python, "-c", "import sys; print(sys.prefix)") == str(built.folder)
    assert built.has("tinything")
    assert not built.has("tiny")
    assert built.folder.parent == root
    for folder in (root, built.folder, root / "locks"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    output = capsys.readouterr()
    assert output.out == ""
    assert "Building environment" in output.err

    no_uv(monkeypatch)
    assert prepare(SPEC) == built
    assert "reused" in capsys.readouterr().err
    assert {each.name for each in root.iterdir()} == {"locks", built.folder.name}


def test_two_builds_at_once_make_one_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2, timeout=60)
    build = environment._build

    def build_together(*arguments: object) -> None:
        barrier.wait()
        build(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(environment, "_build", build_together)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(prepare(SPEC))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert len(list(root.iterdir())) == 2, "the locks and one environment"


def test_requests_that_lock_to_the_same_share_an_environment(root: Path) -> None:
    assert prepare(SPEC).folder == prepare(EnvironmentSpec(None, ("tinything==1.0",))).folder
    assert prepare(SPEC).folder != prepare(EnvironmentSpec()).folder


def test_a_local_wheel_that_was_built_again_is_installed_again(root: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text(make_wheel(project, 1).name)
    spec = read_spec(project / "requirements.txt", "python_env", project)
    built = prepare(spec)
    assert prepare(spec) == built
    make_wheel(project, 2)
    again = prepare(spec)
    assert run(built.python, "-c", "import tinything; print(tinything.VALUE)") == "1"
    assert run(again.python, "-c", "import tinything; print(tinything.VALUE)") == "2"
    named = prepare(
        EnvironmentSpec(None, (f"tinything @ {(project / 'tinything-1.0-py3-none-any.whl').as_uri()}",))
    )
    make_wheel(project, 3)
    renamed = prepare(
        EnvironmentSpec(None, (f"tinything @ {(project / 'tinything-1.0-py3-none-any.whl').as_uri()}",))
    )
    assert run(named.python, "-c", "import tinything; print(tinything.VALUE)") == "2"
    assert run(renamed.python, "-c", "import tinything; print(tinything.VALUE)") == "3"


BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, info = "checkout-1.0-py3-none-any.whl", "checkout-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as opened:
        opened.write("src/checkout.py", "checkout.py")
        opened.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: checkout\\nVersion: 1.0\\n")
        opened.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        opened.writestr(info + "/RECORD", "checkout.py,,\\n")
    return name
"""


@pytest.mark.parametrize("offline", [False, True])
def test_a_checkout_that_changed_is_installed_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    if not offline:
        monkeypatch.delenv("UV_OFFLINE")
    # uv's own cache does not look at the sources of a folder either.
    monkeypatch.delenv("UV_NO_CACHE")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    checkout = tmp_path / "a checkout"
    (checkout / "src").mkdir(parents=True)
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(
        "[project]\nname = 'checkout'\nversion = '1.0'\n"
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    (checkout / "src" / "checkout.py").write_text("VALUE = 1")
    spec = EnvironmentSpec(None, (f"checkout @ {checkout.as_uri()}",))
    built = prepare(spec)
    (checkout / "data.db").touch()
    (checkout / "src" / "__pycache__").mkdir()
    (checkout / "src" / "__pycache__" / "x.pyc").touch()
    assert prepare(spec) == built, "what is not installed does not count"
    (checkout / "src" / "checkout.py").write_text("VALUE = 22")
    assert run(built.python, "-c", "import checkout; print(checkout.VALUE)") == "1"
    assert run(prepare(spec).python, "-c", "import checkout; print(checkout.VALUE)") == "22"


def test_any_python_that_fits_a_rule_will_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = prepare(EnvironmentSpec(">=3.8"))
    running = ".".join(map(str, sys.version_info[:3]))
    assert run(built.python, "-c", "import platform; print(platform.python_version())") == running
    monkeypatch.setattr(environment, "_find_python", lambda *_: None)
    assert environment._interpreter("<3.11", {}) == ("3.10", "3.10"), "for uv to fetch"


def test_a_failed_build_leaves_nothing(root: Path) -> None:
    with pytest.raises(ExecutionError, match=r"(?s)cannot be met.*tinything"):
        prepare(EnvironmentSpec(None, ("tinything>2",)))
    with pytest.raises(ExecutionError, match=r"(?s)cannot be met.*tinything"):
        prepare(EnvironmentSpec(None, ("tinything",), ("tinything<1",)))
    assert [each.name for each in root.iterdir()] == ["locks"]
    assert list((root / "locks").iterdir()) == []


def test_an_environment_whose_python_is_gone_is_built_again(root: Path) -> None:
    built = prepare(EnvironmentSpec())
    built.python.unlink()
    assert prepare(EnvironmentSpec()) == built
    assert built.python.exists()


def test_folders_that_others_may_write_to_are_refused(root: Path) -> None:
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(InvalidStateError, match="SLIPSTREAM_ENV_ROOT"):
        prepare(SPEC)
    assert list(root.iterdir()) == []


def test_another_patch_release_of_the_wanted_python_will_do(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"{sys.version_info[0]}.{sys.version_info[1]}"
    built = prepare(EnvironmentSpec(f"{line}.999"))
    assert run(built.python, "-c", "import sys; print(*sys.version_info[:2], sep='.')") == line
    assert f"Python {line}.999 is not installed" in capsys.readouterr().err


def test_a_python_that_cannot_be_had(root: Path) -> None:
    with pytest.raises(ExecutionError, match=r"2\.1"):
        prepare(EnvironmentSpec("2.1"))


def test_a_missing_uv_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ExecutionError, match="--env-manager local"):
        prepare(SPEC)
