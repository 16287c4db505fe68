"""`slipstream exec`: the program runs as itself, with slipstream in the place of mlflow, and so do its children."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("slipstream")


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), "exec", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("""\
import os
import sys

import mlflow
import neighbour

print(__name__, sys.argv, mlflow.__version__, neighbour.NAME, "slipstream" in mlflow.__file__)
sys.exit(int(os.environ.get("CODE", "0")))
""")
    (tmp_path / "neighbour.py").write_text("NAME = 'beside the script'\n")
    return path


def test_a_script_runs_as_if_python_had_started_it(script: Path) -> None:
    done = run(script.parent, "train.py", "--lr", "0.1", "-m", "--help")

    assert done.stderr == ""
    assert (
        done.stdout == "__main__ ['train.py', '--lr', '0.1', '-m', '--help'] 3.17.2 beside the script True\n"
    )
    assert done.returncode == 0


def test_its_exit_code_is_ours(script: Path) -> None:
    assert run(script.parent, "train.py", CODE="7").returncode == 7


def test_a_module_is_run_by_its_name(script: Path) -> None:
    done = run(script.parent, "-m", "train", "-q")

    assert done.stdout == f"__main__ ['{script}', '-q'] 3.17.2 beside the script True\n"


def test_children_have_it_too(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text("""\
import multiprocessing
import subprocess
import sys

def child(queue):
    import mlflow
    queue.put("slipstream" in mlflow.__file__)

if __name__ == "__main__":
    code = "import mlflow; print('slipstream' in mlflow.__file__)"
    print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    process.join()
    print(queue.get())
""")
    done = run(tmp_path, "parent.py")

    assert done.stdout.splitlines() == ["True", "True"], done.stderr


def test_the_users_path_and_sitecustomize_stay(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = __file__\n")
    (tmp_path / "main.py").write_text("""\
import builtins
import sys

import mlflow
import sitecustomize

print(builtins.customized == sitecustomize.__file__, builtins.customized.startswith(sys.argv[1]))
""")
    folder = str(tmp_path / "site")
    done = run(tmp_path, "main.py", folder, PYTHONPATH=folder)

    assert done.stdout == "True True\n", done.stderr


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "sqlite:///slipstream.db"),
        ({"SLIPSTREAM_TRACKING_URI": "sqlite:///ours.db"}, "sqlite:///ours.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///theirs.db"}, "sqlite:///theirs.db"),
    ],
)
def test_libraries_find_the_address_in_mlflows_variable(
    variables: dict[str, str], address: str, tmp_path: Path
) -> None:
    """Lightning's logger makes a folder `./mlruns` of its own when the variable is not set."""
    (tmp_path / "main.py").write_text("""\
import os

import mlflow

print(os.environ["MLFLOW_TRACKING_URI"], mlflow.get_tracking_uri())
""")

    assert run(tmp_path, "main.py", **variables).stdout == f"{address} {address}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("absent.py",), "There is no file 'absent.py'. For a module, use: slipstream exec -m MODULE"),
        (("-m",), "-m needs the name of a module."),
        (("--quick", "train.py"), "No such option: --quick. Options of the program go after its name."),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_run_is_said(words: tuple[str, ...], message: str, script: Path) -> None:
    done = run(script.parent, *words)

    assert done.returncode == 2
    assert message in done.stderr
