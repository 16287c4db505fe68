"""Collect the context of this process's runs: tags, and files for their artifacts."""

import json
import logging
import shlex
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.client.context.changes import find_changes, folder_of_program
from slipstream.client.context.git import DIRTY_TAG, is_dirty
from slipstream.client.context.host import host_facts
from slipstream.client.context.notebook import notebook_content
from slipstream.client.context.packages import requirements_lock
from slipstream.client.context.secrets import mask_arguments
from slipstream.client.context.source import main_file
from slipstream.client.context.wanted import Wanted

COMMAND_TAG = "slipstream.command"
HOST_TAG = "slipstream.host"
PYTHON_TAG = "slipstream.python"

_logger = logging.getLogger(__name__)


@dataclass
class Captured:
    tags: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By their path among the artifacts."""
    tried: set[str] = field(default_factory=set[str])


BY_PROGRAMS = frozenset({"diff", "untracked"})
"""What starts programs. While they run they are children of this process, whose program may wait for any of its children: so
it is not done in the background."""
ALL = frozenset({"command", "host", "packages", "notebook"}) | BY_PROGRAMS


def capture(wanted: Wanted, names: frozenset[str] = ALL) -> Captured:
    """Collect what is wanted of some names. One thing that fails is left out, and the others are not."""
    captured = Captured()
    for name, collect in _COLLECTORS.items():
        if name in wanted.captures and name in names:
            captured.tried.add(name)
            began = time.perf_counter()
            try:
                collect(captured)
            except Exception:
                _logger.debug("The context lacks: %s", name, exc_info=True)
            _logger.debug("Context: %s took %.1f ms", name, 1000 * (time.perf_counter() - began))
    return captured


def _patch(captured: Captured) -> None:
    folder = folder_of_program(main_file())
    dirty = is_dirty(folder)
    if dirty is not None:
        captured.tags[DIRTY_TAG] = str(dirty).lower()
    if dirty:
        changes = find_changes(folder, untracked=False)
        if changes.patch:
            captured.files["context/diff.patch"] = changes.patch.encode("utf-8", "surrogateescape")
        _note_left_out(captured, changes.left_out)


def _untracked(captured: Captured) -> None:
    if DIRTY_TAG not in captured.tags and "diff" in captured.tried:  # no repository, or one that is too slow
        return
    changes = find_changes(folder_of_program(main_file()), patch=False)
    if changes.untracked:
        captured.files["context/untracked.zip"] = changes.untracked
    _note_left_out(captured, changes.left_out)


def _note_left_out(captured: Captured, lines: list[str]) -> None:
    if lines:
        before = captured.files.get("context/left_out.txt", b"")
        captured.files["context/left_out.txt"] = before + "".join(f"{each}\n" for each in lines).encode()


def _command(captured: Captured) -> None:
    arguments = list(getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv])
    arguments[0] = Path(arguments[0]).name or "python"
    if "-c" in arguments[1:]:  # a whole program; what comes behind it are its arguments
        arguments[arguments.index("-c") + 1 : arguments.index("-c") + 2] = ["..."]
    captured.tags[COMMAND_TAG] = (
        shlex.join(mask_arguments(arguments)).encode("utf-8", "backslashreplace").decode()[:5000]
    )


def _packages(captured: Captured) -> None:
    captured.files["context/requirements.lock"] = requirements_lock().encode("utf-8", "backslashreplace")


def _host(captured: Captured) -> None:
    captured.tags[HOST_TAG] = socket.gethostname()
    captured.tags[PYTHON_TAG] = ".".join(map(str, sys.version_info[:3]))
    captured.files["context/host.json"] = json.dumps(host_facts(), indent=1).encode()


def _notebook(captured: Captured) -> None:
    content = notebook_content()
    if content:
        captured.files["context/notebook.ipynb"] = content.encode()


_COLLECTORS: dict[str, Callable[[Captured], None]] = {
    "command": _command,
    "host": _host,
    "packages": _packages,
    "diff": _patch,
    "untracked": _untracked,
    "notebook": _notebook,
}
