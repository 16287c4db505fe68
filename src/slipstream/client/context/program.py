"""The process whose context is looked at: what only it knows, for the process beside it that does the looking."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from slipstream.client.context.git import tags_of_head
from slipstream.client.context.notebook import notebook_path
from slipstream.client.context.source import main_file


@dataclass(frozen=True, kw_only=True)
class Program:
    pid: int
    arguments: tuple[str, ...]
    """Its command line, the interpreter first."""
    folder: str
    """Where its code is taken to be; empty if that is not known."""
    has_commit: bool
    """Whether the commit has been read already."""
    notebook: str | None
    executable: str
    path: tuple[str, ...]
    """Where modules are looked for."""


def this_program() -> Program:
    folder = folder_of_program(main_file())
    notebook = notebook_path()
    return Program(
        pid=os.getpid(),
        arguments=tuple(getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv]),
        folder=folder,
        has_commit=bool(folder and tags_of_head(folder)),
        notebook=None if notebook is None else str(notebook.absolute()),
        executable=sys.executable,
        path=tuple(_absolute(sys.path)),
    )


def folder_of_program(program: str | None) -> str:
    """Return the folder that the code is taken to be in: the script's, or the current one; empty if that has been removed."""
    try:
        path = Path.cwd() if program is None else Path(program).absolute()
    except OSError:
        return ""
    return str(path if path.is_dir() else path.parent)


def _absolute(places: list[str]) -> list[str]:
    found: list[str] = []
    for place in places:
        try:
            found.append(os.path.abspath(place))  # noqa: PTH100  # links in it stay
        except (
            OSError,
            TypeError,
        ):  # the current folder has been removed; what somebody put there that is no text
            continue
    return found
