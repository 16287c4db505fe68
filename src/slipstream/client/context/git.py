"""Which commit the program is of. Asks the `git` program, and only where a repository is."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from slipstream.client.context.source import main_file
from slipstream.client.context.wanted import captures_here

COMMIT_TAG = "mlflow.source.git.commit"
BRANCH_TAG = "mlflow.source.git.branch"
REPO_URL_TAG = "mlflow.source.git.repoURL"
DIRTY_TAG = "mlflow.source.git.dirty"
_TIMEOUT_SECONDS = 2.0
# What stands before the last @ of a URL's host. Credentials of a broken URL count too, so nothing is parsed.
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/?#:@'\"]*)[^\s/?#'\"]*@")


def git_tags() -> dict[str, str]:
    """Return commit, branch, remote URL without credentials, and whether tracked files changed.

    Empty where the program is in no repository, or git is missing or refuses. Each folder is asked once.
    """
    program = main_file()
    if program is None:
        return {}
    folder = Path(program).absolute()
    # Whether files changed takes long in large trees: where it is found out in the background, nobody waits for it here.
    later = "diff" in captures_here()
    return dict(tags_of_folder(str(folder if folder.is_dir() else folder.parent), dirty=not later))


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
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
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


def _git(folder: str, *arguments: str) -> str | None:
    """Return what a git command prints, `None` if it fails."""
    try:
        done = subprocess.run(  # argv is ours; the folder is data
            git_argv(folder, list(arguments)),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
