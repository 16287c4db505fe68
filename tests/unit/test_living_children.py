"""A test that hangs fails, and its report names the process that it waits for."""

import subprocess
import sys
from pathlib import Path

HANGS = """
import subprocess, sys
def test_hangs():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)  # the-one-that-hangs"], check=False)
"""


def test_the_report_of_a_test_that_hangs_names_its_children(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGS)
    tests = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_bytes((tests / "conftest.py").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "1", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tests), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 failed" in done.stdout, done.stdout
    assert done.stdout.index("test_hangs failed (call)") < done.stdout.index("= FAILURES =")
    _, _, told = done.stdout.partition("processes that it had started")
    assert "# the-one-that-hangs" in told
