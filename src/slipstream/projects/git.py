"""The few things that projects ask of the `git` program, each an argument list, never a shell line."""

import os
import re
import subprocess
from pathlib import Path

from slipstream.client.context.git import without_credentials
from slipstream.errors import ExecutionError, InvalidParameterError

_REMOTE_PROTOCOLS = "https:http:ssh:git"
_LOCAL_PROTOCOLS = "file:https:http:ssh:git"
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# What git says when the server answered, but not with this ref; anything else is a failure to tell at once.
_NO_SUCH_REF = ("couldn't find remote ref", "not our ref", "unadvertised object", "no such remote ref")


def fetch(url: str, version: str | None, folder: Path, *, remote: bool) -> tuple[str, str | None]:
    """Fetch one commit, with its submodules, into an empty folder.

    Args:
        url: already checked: a URL of an allowed scheme, `user@host:path`, or an absolute path.
        version: branch, tag or commit; the remote's HEAD if `None`.
        folder: where to.
        remote: the repository is not on this machine; then its submodules may not be either.

    Returns:
        The commit, and the branch if `version` named one.

    Raises:
        InvalidParameterError: the version cannot be the name of anything.
        ExecutionError: git is missing, the repository cannot be reached, or has no such version.
    """
    if version is not None and (not _VERSION.fullmatch(version) or ".." in version):
        raise InvalidParameterError(f"Version '{version}' is no name of a branch, tag or commit.")
    protocols = _REMOTE_PROTOCOLS if remote else _LOCAL_PROTOCOLS
    # No templates: they could bring hooks.
    _require(_git(folder, "init", "--quiet", "--template=", "--", ".", protocols=protocols), url)
    _require(_git(folder, "config", "remote.origin.url", url, protocols=protocols), url)
    _require(
        _git(
            folder,
            "config",
            "remote.origin.fetch",
            "+refs/heads/*:refs/remotes/origin/*",
            protocols=protocols,
        ),
        url,
    )
    found = _fetch_version(folder, url, version, protocols)
    _require(_git(folder, "checkout", "--quiet", "--detach", found, "--", protocols=protocols), url)
    if (folder / ".gitmodules").is_file():
        done = _git(folder, "submodule", "update", "--init", "--recursive", "--quiet", protocols=protocols)
        _require(done, url)
    done = _git(folder, "rev-parse", "--verify", "HEAD", protocols=protocols)
    _require(done, url)
    commit = done.stdout.strip()
    if version is not None and found == "FETCH_HEAD":
        head = (folder / ".git" / "FETCH_HEAD").read_text(encoding="utf-8", errors="replace")
        if f"branch '{version}' of" in head:
            return commit, version
    return commit, None


def _fetch_version(folder: Path, url: str, version: str | None, protocols: str) -> str:
    """Fetch what a version means, as little as possible, and return a name of it to check out."""
    if version is None:
        candidates = ["HEAD"]
    elif _COMMIT.fullmatch(version):
        candidates = [version]
    else:
        candidates = [f"refs/heads/{version}", f"refs/tags/{version}", version]
    for candidate in candidates:
        done = _git(folder, "fetch", "--quiet", "--depth=1", "--no-recurse-submodules", "--", "origin", candidate,
                    protocols=protocols)  # fmt: skip
        if done.returncode == 0:
            return "FETCH_HEAD"
        if not any(text in done.stderr for text in _NO_SUCH_REF):
            _require(done, url)
    if version is not None and _SHORT_COMMIT.fullmatch(version):
        # A server gives single commits only by full name, and not every server does: take all branches.
        _require(
            _git(
                folder,
                "fetch",
                "--quiet",
                "--tags",
                "--no-recurse-submodules",
                "--",
                "origin",
                protocols=protocols,
            ),
            url,
        )
        done = _git(
            folder,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{version}^{{commit}}",
            protocols=protocols,
        )
        if done.returncode == 0:
            return done.stdout.strip()
    what = f"version '{version}'" if version is not None else "HEAD"
    raise ExecutionError(
        f"The git repository '{without_credentials(url)}' has no {what}. Name a branch, tag or commit that it has."
    )


def is_repository(folder: Path) -> bool:
    """Tell whether a folder is the top of a git repository, bare or with files."""
    return (folder / ".git").exists() or (
        (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    )


def top_folder(folder: Path) -> Path | None:
    """Return the top of the repository around a folder, `None` if there is none."""
    resolved = folder.resolve()
    return next((each for each in (resolved, *resolved.parents) if (each / ".git").exists()), None)


def _git(folder: Path, *arguments: str, protocols: str) -> subprocess.CompletedProcess[str]:
    # Variables that a hook around us may have set would make git work on another repository.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name
        not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
    }
    environment.update(GIT_TERMINAL_PROMPT="0", GIT_ALLOW_PROTOCOL=protocols, LC_ALL="C")
    settings = (
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "advice.detachedHead=false",
    )
    try:
        return subprocess.run(  # an argument list; names were checked above
            ["git", *settings, *arguments],  # the git that the user has
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ExecutionError(
            "The program 'git' is needed to fetch this project, and is not installed."
        ) from error


def _require(done: subprocess.CompletedProcess[str], url: str) -> None:
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        # git repeats the URL in its own messages.
        raise ExecutionError(without_credentials(f"Fetching the git repository '{url}' failed: {reason}"))
