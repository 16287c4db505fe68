"""Collect the context of a process's runs: tags, and files for their artifacts. Done in the process beside it."""

import json
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.client.context.changes import find_changes
from slipstream.client.context.git import DIRTY_TAG, is_dirty, tags_of_folder
from slipstream.client.context.host import host_facts
from slipstream.client.context.notebook import notebook_content
from slipstream.client.context.packages import requirements_lock
from slipstream.client.context.program import Program
from slipstream.client.context.secrets import mask_arguments

COMMAND_TAG = "slipstream.command"
HOST_TAG = "slipstream.host"
PYTHON_TAG = "slipstream.python"


@dataclass
class Captured:
    tags: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By their path among the artifacts."""
    missing: list[str] = field(default_factory=list[str])
    """What could not be found out, and why."""


def capture(names: frozenset[str], program: Program) -> Iterator[Captured]:
    """Collect what is wanted of a program's context: first what is soon found, then what Git is asked.

    One thing that fails is left out, and the others are not.
    """
    if not names:
        return
    for collectors in (_SOON, _BY_GIT):
        captured = Captured()
        for name, collect in collectors.items():
            if name in names or name in _ALWAYS:
                try:
                    collect(captured, program)
                except Exception as error:  # noqa: BLE001  # of file systems, programs and drivers of all kinds
                    captured.missing.append(f"{name}: {type(error).__name__}: {error}")
        yield captured


def _commit(captured: Captured, program: Program) -> None:
    if program.folder and not program.has_commit:
        captured.tags.update(tags_of_folder(program.folder, dirty=False))


def _dirty(captured: Captured, program: Program) -> None:
    dirty = is_dirty(program.folder) if program.folder else None
    if dirty is not None:
        captured.tags[DIRTY_TAG] = str(dirty).lower()


def _patch(captured: Captured, program: Program) -> None:
    if captured.tags.get(DIRTY_TAG) == "true":
        changes = find_changes(program.folder, untracked=False)
        if changes.patch:
            captured.files["context/diff.patch"] = changes.patch.encode("utf-8", "surrogateescape")
        _note_left_out(captured, changes.left_out)


def _untracked(captured: Captured, program: Program) -> None:
    if DIRTY_TAG not in captured.tags:  # no repository, or one that is too slow
        return
    changes = find_changes(program.folder, patch=False)
    if changes.untracked:
        captured.files["context/untracked.zip"] = changes.untracked
    _note_left_out(captured, changes.left_out)


def _note_left_out(captured: Captured, lines: list[str]) -> None:
    if lines:
        before = captured.files.get("context/left_out.txt", b"")
        captured.files["context/left_out.txt"] = before + "".join(f"{each}\n" for each in lines).encode()


def _command(captured: Captured, program: Program) -> None:
    arguments = list(program.arguments)
    arguments[0] = Path(arguments[0]).name or "python"
    if "-c" in arguments[1:]:  # a whole program; what comes behind it are its arguments
        arguments[arguments.index("-c") + 1 : arguments.index("-c") + 2] = ["..."]
    captured.tags[COMMAND_TAG] = (
        shlex.join(mask_arguments(arguments)).encode("utf-8", "backslashreplace").decode()[:5000]
    )


def _packages(captured: Captured, program: Program) -> None:
    lock = requirements_lock(program.path)
    captured.files["context/requirements.lock"] = lock.encode("utf-8", "backslashreplace")


def _host(captured: Captured, program: Program) -> None:
    captured.tags[HOST_TAG] = socket.gethostname()
    captured.tags[PYTHON_TAG] = ".".join(map(str, sys.version_info[:3]))
    captured.files["context/host.json"] = json.dumps(host_facts(program), indent=1).encode()


def _notebook(captured: Captured, program: Program) -> None:
    content = notebook_content(program.notebook)
    if content:
        captured.files["context/notebook.ipynb"] = content.encode("utf-8", "backslashreplace")


_ALWAYS = frozenset({"commit", "dirty"})
_SOON: dict[str, Callable[[Captured, Program], None]] = {
    "command": _command,
    "host": _host,
    "packages": _packages,
    "notebook": _notebook,
}
_BY_GIT: dict[str, Callable[[Captured, Program], None]] = {
    "commit": _commit,
    "dirty": _dirty,
    "diff": _patch,
    "untracked": _untracked,
}
