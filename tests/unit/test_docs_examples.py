"""The Python blocks of the documentation: each runs when it is pasted alone."""

import re
import runpy
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return _BLOCK.findall((PAGES / page).read_text(encoding="utf-8"))


TRACKING = blocks("track-a-run.md")
DEPLOYING = blocks("deploy-a-model.md")


@pytest.mark.parametrize("number", range(len(TRACKING)))
def test_block_of_track_a_run(tracking: str, tmp_path: Path, number: int) -> None:
    for library in ("matplotlib", "numpy", "pandas"):
        if f"import {library}" in TRACKING[number]:
            pytest.importorskip(library)
    script = tmp_path / "pasted.py"
    script.write_text(TRACKING[number], encoding="utf-8")

    runpy.run_path(str(script), run_name="__main__")


def test_there_are_blocks() -> None:
    assert len(TRACKING) >= 6
    assert len(DEPLOYING) == 1


@pytest.mark.parametrize("number", range(len(DEPLOYING)))
def test_block_of_deploy_a_model(tracking: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path("pasted.py")
    script.write_text(DEPLOYING[number], encoding="utf-8")

    runpy.run_path(str(script), run_name="__main__")

    assert capsys.readouterr().out == "['Deployment/churn', 'Service/churn']\n"
