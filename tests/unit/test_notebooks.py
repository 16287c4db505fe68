"""The notebooks of the examples are those of their programs."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples" / "phi3").glob("[a-c]_*.py"))
_SPEC = importlib.util.spec_from_file_location("make_notebooks", ROOT / "tools" / "make_notebooks.py")
assert _SPEC is not None
assert _SPEC.loader is not None
make_notebooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_notebooks)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_notebook_has_the_cells_of_its_program(program: Path) -> None:
    made = make_notebooks.notebook_of(program.read_text(encoding="utf-8"))
    kept = program.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert made == kept, "run: python tools/make_notebooks.py"
    code = ["".join(cell["source"]) for cell in json.loads(kept)["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        compile(cell, program.name, "exec")


def test_there_are_three() -> None:
    assert len(PROGRAMS) == 3
