"""Read commit, branch and remote out of a repository's files, in a fraction of a millisecond and without a program.

What cannot be read so (another format of references, settings in included files) is left to the program `git`, which takes its
time beside the run.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SECTION = re.compile(r"\[\s*(?P<name>[\w.-]+)(?:\s+\"(?P<of>(?:[^\"\\]|\\.)*)\")?\s*\]")
_MOST_BYTES = 4 << 20
"""Of one file; longer lists of references are for `git`."""
_LINKS = 5


@dataclass(frozen=True)
class Head:
    """What is checked out."""

    commit: str
    branch: str = ""
    """Empty where a commit is checked out and no branch."""
    url: str = ""
    """Of the remote `origin`, as it is written down: there may be a password in it."""


def find_git_folder(folder: Path) -> Path | None:
    """Return the folder with the repository's files of the working tree around a folder.

    Raises:
        OSError: it is there and cannot be read.
    """
    for parent in (folder, *folder.parents):
        place = parent / ".git"
        if place.is_dir():
            return place
        if place.is_file():  # of a submodule, or of a second working tree
            link = _read(place)
            if link.startswith("gitdir:"):
                return parent / link.removeprefix("gitdir:").strip()
    return None


def read_head(folder: Path) -> Head | None:
    """Return what is checked out around a folder; `None` where that cannot be read, or there is no commit yet.

    Raises:
        OSError: a file of the repository cannot be read.
    """
    place = find_git_folder(folder)
    if place is None:
        return None
    shared = place
    if (place / "commondir").is_file():
        shared = place / _read(place / "commondir").strip()
    value = _read(place / "HEAD").strip()
    branch = (
        value.removeprefix("ref:").strip().removeprefix("refs/heads/") if value.startswith("ref:") else ""
    )
    for _ in range(_LINKS):
        if not value.startswith("ref:"):
            break
        value = _reference(value.removeprefix("ref:").strip(), place, shared)
    if not _COMMIT.match(value):
        return None
    return Head(commit=value, branch=branch, url=_remote(shared / "config"))


def _reference(name: str, place: Path, shared: Path) -> str:
    """Return what a reference holds: a file of its own, or a line in the list of all; empty if there is none."""
    if not name.startswith("refs/") or ".." in name:
        return ""
    for folder in (place, shared):
        path = folder / name
        if path.is_file():
            return _read(path).strip()
    packed = shared / "packed-refs"
    if packed.is_file():
        for line in _read(packed).splitlines():
            if line.endswith(f" {name}"):
                return line.partition(" ")[0]
    return ""


def _remote(config: Path) -> str:
    """Return the address of the remote `origin`: the last that is written, as git does."""
    url = ""
    is_there = False
    for text in _read(config).splitlines():
        line = text.strip()
        section = _SECTION.match(line)
        if section is not None:
            is_there = section["name"].lower() == "remote" and section["of"] == "origin"
            line = line[section.end() :].strip()
        name, equals, value = line.partition("=")
        if is_there and equals and name.strip().lower() == "url":
            url = _unquoted(value.strip())
    return url


def _unquoted(value: str) -> str:
    """Return a value without quotes and without the remark behind it."""
    text = ""
    quoted = False
    letters = iter(value)
    for letter in letters:
        if letter == '"':
            quoted = not quoted
        elif letter == "\\":
            text += next(letters, "")
        elif letter in "#;" and not quoted:
            break
        else:
            text += letter
    return text.strip()


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(f"{path} has more than {_MOST_BYTES} bytes")
    return data.decode("utf-8", "replace")
