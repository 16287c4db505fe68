"""The documentation runs: the blocks of a page, in order and in one namespace, in an empty folder.

A block that begins with a comment which is a file's name (`# train.py`) becomes that file. A block that cannot run
offline has a line before it that says so and why: `<!-- not run: needs a model hub -->`. Each such block is a skipped
test, so that the end of a test run lists it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from server_process import ServerProcess

ROOT = Path(__file__).parents[2]
DOCUMENTED_SERVER = "http://127.0.0.1:5000"
SHELL_PAGES = [
    "docs/how-to/import-from-other-trackers.md",
    "docs/how-to/move-from-mlflow.md",
    "docs/how-to/run-a-project.md",
]
"""Where blocks without a language are commands to run."""
PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "tutorials").glob("*.md")),
    "docs/how-to/clean-up.md",
    "docs/how-to/log-a-model.md",
    "docs/how-to/query-your-data.md",
    "docs/how-to/track-a-run.md",
    "docs/how-to/use-libraries-that-import-mlflow.md",
    "docs/how-to/webhooks.md",
    *SHELL_PAGES,
]
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_FILE = re.compile(r"# ([\w./-]*\w\.\w+|MLproject)")
_PRELUDE = (
    "import subprocess as _s, pathlib as _p; "
    "_shell = lambda text: _s.run(['/bin/sh', '-ec', text], check=True); "
    "_file = lambda name, text: (_p.Path(name).parent.mkdir(parents=True, exist_ok=True), "
    "_p.Path(name).write_text(text))"
)
"""The first line of each program; a page's first line is its title."""
NEEDED = ("matplotlib", "numpy", "pandas", "sklearn", "skops", "polars", "mlflow")

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    language: str
    line: int
    """Of the page, where the text begins; from 1."""
    text: str
    not_run: str | None


def blocks(page: str) -> Iterator[Block]:
    lines = (ROOT / page).read_text("utf-8").split("\n")
    number = 0
    while number < len(lines):
        if lines[number].startswith("```"):
            begin = number + 1
            end = begin + lines[begin:].index("```")
            marker = _NOT_RUN.fullmatch(lines[number - 1])
            language = lines[number].removeprefix("```")
            yield Block(language, begin + 1, "\n".join(lines[begin:end]), marker and marker[1])
            number = end
        number += 1


def program(page: str) -> str:
    """Return the page as a Python program whose lines have the page's numbers, so that errors name them."""
    lines = [_PRELUDE]
    for block in blocks(page):
        if block.not_run is not None:
            continue
        name = _FILE.fullmatch(block.text.split("\n")[0])
        if name is not None:
            added = f"_file({name[1]!r}, {block.text + chr(10)!r})"
        elif block.language == "python":
            added = block.text
        elif block.language == "" and page in SHELL_PAGES:
            added = f"_shell({block.text!r})"
        else:
            continue
        lines += [""] * (block.line - 1 - len(lines))
        lines += added.split("\n")
    return "\n".join(lines) + "\n"


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "SLIPSTREAM_HOME": str(folder / "home"), "PATH": path}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "server"
    folder.mkdir()
    process = ServerProcess(folder)
    yield process.url
    process.stop()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path, server: str) -> None:
    text = program(page)
    for library in NEEDED:
        if re.search(rf"(import|from) {library}\b|\.{library}\.", text):
            pytest.importorskip(library, exc_type=ImportError)
    folder = tmp_path / "reader"
    folder.mkdir()
    script = folder / "page.py"
    script.write_text(text.replace(DOCUMENTED_SERVER, server), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{page}, whose line numbers are those of page.py:\n{done.stderr}"


LEFT_OUT = [(page, block) for page in PAGES for block in blocks(page) if block.not_run is not None]


@pytest.mark.parametrize(
    ("page", "block"), LEFT_OUT, ids=[f"{page}:{block.line}" for page, block in LEFT_OUT]
)
def test_a_block_that_is_not_run(page: str, block: Block) -> None:
    if block.language == "python":
        compile(block.text, page, "exec")
    pytest.skip(f"{page}:{block.line} is not run: {block.not_run}")


def test_a_marker_that_marks_nothing_is_found() -> None:
    for page in PAGES:
        markers = (ROOT / page).read_text("utf-8").count("<!-- not run")
        assert markers == sum(block.not_run is not None for block in blocks(page)), page


def test_every_page_has_blocks_that_run() -> None:
    counts = {page: program(page).count("\n") for page in PAGES}
    assert all(count > 5 for count in counts.values()), counts
