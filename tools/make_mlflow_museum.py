"""Keep a database and a folder of a version of the real MLflow, for tests of `slipstream import`.

    python tools/make_mlflow_museum.py PYTHON_WITH_MLFLOW...

For each interpreter it writes tests/upgrade/mlflow/<version>/ with

    mlflow.db.xz       what that version's SqlAlchemyStore wrote
    mlruns.tar.xz      what its FileStore wrote
    db.json.xz mlruns.json.xz
                       what that version's own client read back from the two

What is there stays as it is; to make a room again, remove its folder first.
"""

import lzma
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

TOOLS = Path(__file__).parent
ROOMS = TOOLS.parent / "tests" / "upgrade" / "mlflow"
RUNS = 12


def make(python: str) -> Path:
    """Make the room of one interpreter's MLflow."""
    told = [python, "-W", "ignore", "-c", "import mlflow; print(mlflow.__version__)"]
    version = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    room = ROOMS / version
    if room.exists():
        sys.exit(f"{room} is there already; remove it first to make it again.")
    with tempfile.TemporaryDirectory(prefix="mlflow-museum-") as scratch:
        files: dict[str, bytes] = {}
        # The folder first: with a database MLflow makes one of the same name, for files.
        for name, uri in (("mlruns", f"{scratch}/mlruns"), ("db", f"sqlite:///{scratch}/mlflow.db")):
            _run(python, scratch, "make_mlflow_source.py", uri, str(RUNS))
            files[f"{name}.json"] = _run(python, scratch, "mlflow_content.py", uri)
        files["mlflow.db"] = Path(scratch, "mlflow.db").read_bytes()
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(Path(scratch, "mlruns"), "mlruns")
        files["mlruns.tar"] = packed.getvalue()
        room.mkdir(parents=True)
        for name, content in files.items():
            (room / f"{name}.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    return room


def _run(python: str, folder: str, tool: str, *arguments: str) -> bytes:
    done = subprocess.run(
        [python, str(TOOLS / tool), *arguments], cwd=folder, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr.decode("utf-8", "replace"))
    return done.stdout


if __name__ == "__main__":
    for interpreter in sys.argv[1:]:
        print(make(interpreter))
