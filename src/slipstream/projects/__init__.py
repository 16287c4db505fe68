"""Run projects: folders of code with an MLproject file, from disk, git or a zip archive.

Nothing below is imported until it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.errors import ExecutionError
    from slipstream.errors import ExecutionError as ExecutionException
    from slipstream.projects.backends.base import SubmittedRun
    from slipstream.projects.launch import run

__all__ = ["ExecutionError", "ExecutionException", "SubmittedRun", "run"]

_NAMES = {
    "ExecutionError": ("slipstream.errors", "ExecutionError"),
    "ExecutionException": ("slipstream.errors", "ExecutionError"),  # MLflow's name
    "SubmittedRun": ("slipstream.projects.backends.base", "SubmittedRun"),
    "run": ("slipstream.projects.launch", "run"),
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, attribute = _NAMES[name]
    value = getattr(importlib.import_module(module), attribute)
    # The next use does not come here. No submodule may have the name of a function: it would win.
    globals()[name] = value
    return value
