"""Which program starts the run."""

import os
import sys
from pathlib import Path

SOURCE_NAME_TAG = "mlflow.source.name"
SOURCE_TYPE_TAG = "mlflow.source.type"
CONSOLE = "<console>"


def main_file() -> str | None:
    """Return the script that runs, as it was given on the command line, or `None` at a prompt."""
    program = sys.argv[0] if sys.argv else ""
    return program if program and program != "-c" else None


def source_tags() -> dict[str, str]:
    """Return name and type of the program: NOTEBOOK under Jupyter, else LOCAL."""
    if is_notebook():
        return {SOURCE_NAME_TAG: _notebook_name(), SOURCE_TYPE_TAG: "NOTEBOOK"}
    program = sys.argv[0] if sys.argv and sys.argv[0] else CONSOLE
    # A script whose file name is not UTF-8 must be able to log, too.
    name = program.encode("utf-8", "backslashreplace").decode()
    return {SOURCE_NAME_TAG: name, SOURCE_TYPE_TAG: "LOCAL"}


def is_notebook() -> bool:
    # A kernel has imported IPython already, so that this imports nothing.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _notebook_name() -> str:
    # Set by VS Code in the notebook's namespace, and by Jupyter servers in the environment.
    main = sys.modules.get("__main__")
    path = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    return Path(str(path)).name if path else "<notebook>"
