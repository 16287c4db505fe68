"""What of the code is not in the commit: the patch of changed files, and small new files."""

import io
import os
import select
import signal
import subprocess
import time
import zipfile
from dataclasses import dataclass, field

from slipstream.client.context.git import git_argv, git_environment
from slipstream.client.context.secrets import MASK, looks_like_secret_file, mask_text

PATCH_BYTES = 1 << 20
UNTRACKED_FILE_BYTES = 256 << 10
UNTRACKED_BYTES = 5 << 20
UNTRACKED_FILES = 500
_LIST_BYTES = 1 << 20
SECONDS = 5.0
"""How long git may take for one answer. Nobody but the end of a very short program waits for it."""


@dataclass
class Changes:
    patch: str = ""
    untracked: bytes = b""
    """A zip of the new files."""
    left_out: list[str] = field(default_factory=list[str])
    """What is not in either of them, and why."""


def find_changes(folder: str, *, patch: bool = True, untracked: bool = True) -> Changes:
    """Collect what differs from the commit in the repository around a folder; nothing where there is none."""
    changes = Changes()
    top = _ask(folder, ["rev-parse", "--show-toplevel"], 4096)[0].decode(errors="replace").strip()
    if not top:
        return changes
    if patch:
        _add_patch(changes, top)
    if untracked:
        _add_untracked(changes, top)
    return changes


def _add_patch(changes: Changes, top: str) -> None:
    data, whole = _ask(top, ["diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color"], PATCH_BYTES)
    if not whole:
        changes.left_out.append(
            f"the rest of the patch: only its first {PATCH_BYTES} bytes, or what git found in {SECONDS:g} s, are kept"
        )
    sections = ("\n" + data.decode(errors="replace")).split("\ndiff --git ")
    kept: list[str] = []
    for section in sections[1:]:
        first = section.partition("\n")[0]
        names = [part.split("/", 1)[-1].strip('"') for part in first.split(" b/")]
        if any(looks_like_secret_file(name) for name in names if name):
            changes.left_out.append(f"the changes of {names[-1]}: its name says that secrets are in it")
            continue
        kept.append("diff --git " + section + "\n")
    text = "".join(kept)
    masked = mask_text(text)
    if masked != text:
        changes.left_out.append(f"texts of the patch that look like secrets; they are {MASK} there")
    changes.patch = masked.rstrip("\n") + "\n" if masked else ""


def _add_untracked(changes: Changes, top: str) -> None:
    data, whole = _ask(top, ["ls-files", "--others", "--exclude-standard", "-z"], _LIST_BYTES)
    names = data.split(b"\0")
    if not whole:
        names.pop()
        changes.left_out.append("further new files: there are too many, or git took too long")
    buffer = io.BytesIO()
    total = count = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(each for each in names if each):
            shown = name.decode("utf-8", "backslashreplace")
            if looks_like_secret_file(shown):
                changes.left_out.append(f"{shown}: its name says that secrets are in it")
                continue
            content = _read_small(os.fsencode(top) + b"/" + name)
            if isinstance(content, str):
                changes.left_out.append(f"{shown}: {content}")
                continue
            if count == UNTRACKED_FILES or total + len(content) > UNTRACKED_BYTES:
                changes.left_out.append(
                    f"{shown} and what follows: only {UNTRACKED_FILES} files or {UNTRACKED_BYTES} bytes are kept"
                )
                break
            if b"\0" in content:
                changes.left_out.append(f"{shown}: it is binary")
                continue
            text = content.decode("utf-8", "surrogateescape")
            if mask_text(text) != text:
                changes.left_out.append(f"{shown}: something in it looks like a secret")
                continue
            archive.writestr(zipfile.ZipInfo(shown), content)
            total += len(content)
            count += 1
    if count:
        changes.untracked = buffer.getvalue()


def _read_small(path: bytes) -> bytes | str:
    """Return a file's content, or why it is left out. Links are not followed, pipes not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not _is_regular(status.st_mode):
            return "it is no plain file"
        if status.st_size > UNTRACKED_FILE_BYTES:
            return f"it has {status.st_size} bytes; up to {UNTRACKED_FILE_BYTES} are kept"
        return file.read(UNTRACKED_FILE_BYTES)


def _is_regular(mode: int) -> bool:
    import stat

    return stat.S_ISREG(mode)


def _ask(folder: str, arguments: list[str], most_bytes: int) -> tuple[bytes, bool]:
    """Return the beginning of what git prints, and whether that is all of it; nothing if it fails."""
    try:
        process = subprocess.Popen(  # argv is ours; the folder is data
            git_argv(folder, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git_environment(),
            process_group=0,
        )
    except OSError:
        return b"", True
    with process:
        assert process.stdout is not None, "it was asked for"
        data = bytearray()
        until = time.monotonic() + SECONDS
        whole = False
        while len(data) <= most_bytes and (left := until - time.monotonic()) > 0:
            if not select.select([process.stdout], [], [], left)[0]:
                break
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                whole = True
                break
            data += piece
        if not whole:
            os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
    if whole and process.returncode != 0:
        return b"", True
    return bytes(data[:most_bytes]), whole
