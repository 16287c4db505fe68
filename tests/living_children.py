"""What the processes that a test started are at: printed when it ran out of time, since its own stack then says too little."""

import os
from pathlib import Path


def tell_of_children(of: int | None = None) -> str:
    """Each living descendant of a process: its number, command and, where the kernel tells, what it waits in."""
    lines = []
    parents = _parents()
    wanted = {of or os.getpid()}
    for pid in sorted(parents):  # a child's number is nearly always above its parent's
        if parents[pid] in wanted:
            wanted.add(pid)
            command = _read(pid, "cmdline").replace("\0", " ").strip() or f"({_read(pid, 'comm').strip()})"
            lines.append(f"{pid}, child of {parents[pid]}, in {_read(pid, 'wchan') or '?'}: {command[:300]}")
            lines += [f"    {each}" for each in _read(pid, "stack").splitlines()[:4]]
    return "\n".join(lines) or "none"


def _parents() -> dict[int, int]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _read(int(folder.name), "stat").rpartition(")")[2].split()
        if len(fields) > 1:
            found[int(folder.name)] = int(fields[1])
    return found


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text("utf-8", "replace")
    except OSError:  # it has just ended, or this kernel does not tell everyone
        return ""
