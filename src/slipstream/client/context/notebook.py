"""The notebook that a run is started from: its cells without their outputs."""

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

NOTEBOOK_BYTES = 20 << 20


def notebook_path() -> Path | None:
    """Return the file of the notebook, where VS Code or a Jupyter server says it."""
    main = sys.modules.get("__main__")
    told = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    if not told:
        return None
    path = Path(str(told))
    return path if path.suffix == ".ipynb" and path.is_file() else None


def notebook_content(notebook: str | None) -> str:
    """Return a notebook as it was saved last, without outputs and without what looks like a secret; empty without one."""
    if notebook is None:
        return ""
    path = Path(notebook)
    if path.stat().st_size > NOTEBOOK_BYTES:
        return ""
    from slipstream.client.context.secrets import mask_text  # its expressions take 10 ms, beside the training

    document: Any = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        return ""
    cells = cast("dict[str, Any]", document).get("cells")
    for cell in cast("list[dict[str, Any]]", cells or []):
        if "outputs" in cell:
            cell["outputs"] = []
        source = cell.get("source", "")
        text = "".join(cast("list[str]", source)) if isinstance(source, list) else str(source)
        cell["source"] = mask_text(text)
    return json.dumps(document, indent=1)
