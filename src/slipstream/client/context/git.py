"""Which commit the program is of: from the repository's files where a run starts, else from the program `git`."""

import functools
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path

from slipstream.client.context.head import read_head
from slipstream.client.context.source import main_file
from slipstream.client.context.wanted import captures_here

COMMIT_TAG = "mlflow.source.git.commit"
BRANCH_TAG = "mlflow.source.git.branch"
REPO_URL_TAG = "mlflow.source.git.repoURL"
DIRTY_TAG = "mlflow.source.git.dirty"
_SECONDS = 2.0
_LONG_SECONDS = 10.0
"""For what looks at all files of a repository."""
_logger = logging.getLogger(__name__)
# What stands before the last @ of a URL's host. Credentials of a broken URL count too, so nothing is parsed. Bounded, and without
# going back (*+): a line of a million letters must not take minutes.
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?P<user>[^\s/?#:@'\"]*+)[^\s/?#'\"]*@")


def git_tags() -> dict[str, str]:
    """Return commit, branch and remote URL without credentials.

    Empty where the program is in no repository, or in one whose files only git can read: then it is asked beside the run, or
    here where nothing is captured beside it. Each folder is looked at once.
    """
    program = main_file()
    if program is None:
        return {}
    try:
        path = Path(program).absolute()
    except OSError:  # the current folder has been removed
        return {}
    folder = str(path if path.is_dir() else path.parent)
    return dict(tags_of_head(folder)) or (
        {} if captures_here() else dict(tags_of_folder(folder, dirty=False))
    )


@functools.lru_cache(maxsize=16)
def tags_of_head(folder: str) -> tuple[tuple[str, str], ...]:
    """Return the tags that can be read from the files of the repository around a folder, as pairs. No program is started."""
    try:
        head = read_head(Path(folder))
    except OSError as error:
        _logger.debug("The repository of %s cannot be read: %s", folder, error)
        return ()
    if head is None:
        return ()
    tags = {COMMIT_TAG: head.commit}
    if head.url:
        tags[REPO_URL_TAG] = without_credentials(head.url)
    if head.branch:
        tags[BRANCH_TAG] = head.branch
    return tuple(tags.items())


@functools.lru_cache(maxsize=16)
def tags_of_folder(folder: str, *, dirty: bool = True) -> tuple[tuple[str, str], ...]:
    """Return the tags for the repository around a folder, as pairs.

    Not for folders that came from elsewhere: to find changes, git runs the filters that the repository's own
    configuration names.
    """
    tags = commit_tags(folder)
    if not tags:
        return ()
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    if branch and branch != "HEAD":  # which it is when no branch is checked out
        tags[BRANCH_TAG] = branch
    changed = is_dirty(folder) if dirty else None
    if changed is not None:
        tags[DIRTY_TAG] = str(changed).lower()
    return tuple(tags.items())


def is_dirty(folder: str) -> bool | None:
    """Tell whether tracked files of the repository around a folder differ from the commit; `None` where there is none."""
    if not _is_in_repository(Path(folder)) or shutil.which("git") is None:
        return None
    # Untracked files do not count, and to look for them takes long in large trees.
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", seconds=_LONG_SECONDS)
    return None if changes is None else bool(changes)


def commit_tags(folder: str) -> dict[str, str]:
    """Return commit and remote URL of the repository around a folder; nothing of the repository runs."""
    if not _is_in_repository(Path(folder)) or shutil.which("git") is None:
        return {}
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {COMMIT_TAG: commit}
    if url := _git(folder, "config", "--get", "remote.origin.url"):
        tags[REPO_URL_TAG] = without_credentials(url)
    return tags


def without_credentials(text: str) -> str:
    """Return a URL, or a text with URLs in it, without user names and passwords, which CI systems put there.

    The user of ssh stays: it is part of the address, and no secret.
    """

    def cut(match: re.Match[str]) -> str:
        scheme = match["scheme"]
        is_ssh = scheme.lower().endswith("ssh://")
        return f"{scheme}{match['user']}@" if is_ssh and match["user"] else scheme

    return _USER_INFO.sub(cut, text)


def _is_in_repository(folder: Path) -> bool:
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))


def git_argv(folder: str, arguments: list[str]) -> list[str]:
    """Return the command line of git for a folder. The repository's own settings start no programs when all we do is look."""
    argv = ["git", "-C", folder, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    return [*argv, "--no-optional-locks", *arguments]


def git_environment() -> dict[str, str]:
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _git(folder: str, *arguments: str, seconds: float = _SECONDS) -> str | None:
    """Return what a git command prints, `None` if it fails."""
    try:
        done = subprocess.run(  # argv is ours; the folder is data
            git_argv(folder, list(arguments)),
            capture_output=True,
            text=True,
            timeout=seconds,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
