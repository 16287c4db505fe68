"""Make notebooks of the programs in examples/phi3 that are written in cells (`# %%`), so that both say the same.

python tools/make_notebooks.py           # write them
python tools/make_notebooks.py --check   # exit code 1 if one is out of date
"""

import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "examples" / "phi3"
_CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


def notebook_of(program: str) -> str:
    """Return a notebook, as JSON, with the cells of a program."""
    cells: list[dict[str, object]] = []
    marks = list(_CELL.finditer(program))
    ends = [mark.start() for mark in marks[1:]] + [len(program)]
    for number, (mark, end) in enumerate(zip(marks, ends, strict=True)):
        text = program[mark.end() : end].strip("\n")
        cell: dict[str, object] = {"cell_type": "code", "id": f"cell-{number}", "metadata": {}}
        if mark["kind"]:
            cell["cell_type"] = "markdown"
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
        else:
            cell |= {"execution_count": None, "outputs": []}
        cells.append({**cell, "source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    check = "--check" in sys.argv[1:]
    stale: list[str] = []
    for program in sorted(FOLDER.glob("[a-c]_*.py")):
        target = program.with_suffix(".ipynb")
        made = notebook_of(program.read_text(encoding="utf-8"))
        if target.is_file() and target.read_text(encoding="utf-8") == made:
            continue
        stale.append(target.name)
        if not check:
            target.write_text(made, encoding="utf-8")
    if check and stale:
        raise SystemExit(f"Out of date: {', '.join(stale)}. Run python tools/make_notebooks.py")


if __name__ == "__main__":
    main()
