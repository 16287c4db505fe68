"""Bring a project onto this machine: a folder in place, a commit of a git repository, or a zip archive.

What comes from elsewhere goes into a private temporary folder and is `remote`: nobody has looked at its code
here, so `run` shows what it would execute and asks for trust.
"""

import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from slipstream import settings
from slipstream.client.context.git import COMMIT_TAG, REPO_URL_TAG, commit_tags, without_credentials
from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects import git
from slipstream.projects.archive import download, unpack
from slipstream.projects.progress import say

_WEB = ("http", "https")
_GIT_SCHEMES = ("http", "https", "ssh", "git")
_SCP_STYLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s:-][^\s]*")
# Characters that neither a URL nor a repository path needs, and that programs below git might interpret.
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f]")


class FetchedProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project folder on this machine."""

    folder: Path
    source: str
    """Where it came from, as a run's source name; without credentials."""
    temporary: Path | None = None
    """The folder to remove when the project is no longer needed."""
    remote: bool = False
    branch: str | None = None
    """The branch, if `--version` named one."""
    version_tags: dict[str, str] = {}
    """Commit and repository, as tags of a run. Nobody needs to ask git in a fetched folder for them, where it
    would heed a configuration that came along."""


@contextmanager
def _removed_on_error(folder: Path) -> Generator[Path]:
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def fetch(uri: str, version: str | None = None) -> FetchedProject:
    """Make a project available in a folder; the caller removes `temporary` afterwards.

    Args:
        uri: a folder, `file:` URI, git URL or zip archive; `#sub/dir` chooses a folder inside.
        version: branch, tag or commit of a git repository.

    Raises:
        InvalidParameterError: the URI is of no kind that can be fetched, or the version does not go with it.
        ExecutionError: fetching failed, or there is no such folder or version.
    """
    text = uri.strip("'\"")
    base, sub = _split(text)
    local = _local_path(base)
    if base.lower().endswith(".zip") and (local is None or not local.is_dir()):
        return _fetch_zip(text, base, local, sub, version)
    if local is None:
        _require_git_url(base)
        return _fetch_git(text, base, sub, version, remote=True)
    if not local.is_dir():
        raise ExecutionError(f"There is no project folder '{local}'. Check the path.")
    if version is not None:
        if not git.is_repository(local):
            raise ExecutionError(
                f"A version ('{version}') can only be given for git repositories, and '{local}' is none. "
                "Leave --version out to run the folder as it is."
            )
        return _fetch_git(text, str(local.resolve()), sub, version, remote=False)
    folder = _sub_folder(local.absolute(), sub)
    return FetchedProject(folder=folder, source=_source_of(folder), version_tags=commit_tags(str(folder)))


def _split(text: str) -> tuple[str, str]:
    base, _, sub = text.partition("#")
    if "." in sub:
        raise InvalidParameterError(
            f"'.' is not allowed in project subdirectory paths, got '{sub}'. Write the path from the project's top."
        )
    return base, sub


def _local_path(base: str) -> Path | None:
    """Return the path if the URI means this machine, whether or not there is something."""
    try:
        parts = urlsplit(base)
    except ValueError as error:
        raise InvalidParameterError(f"'{without_credentials(base)}' is no URL: {error}.") from error
    if parts.scheme.lower() == "file":
        if parts.netloc not in ("", "localhost"):
            raise InvalidParameterError(
                f"'{without_credentials(base)}' names a file on the host '{parts.hostname}'. Write file:///path for this machine."
            )
        return Path(unquote(parts.path))
    if "://" in base or _SCP_STYLE.fullmatch(base):
        return None
    return Path(base).expanduser()


def _require_git_url(base: str) -> None:
    scheme = urlsplit(base).scheme.lower()
    if _FORBIDDEN.search(base) or not (_SCP_STYLE.fullmatch(base) or scheme in _GIT_SCHEMES):
        raise InvalidParameterError(
            f"'{without_credentials(base)}' is no project that can be fetched. Use a folder, file:///folder, https://host/repo, "
            "ssh://host/repo, git@host:repo, or a .zip archive."
        )
    if scheme and not (urlsplit(base).hostname or "")[:1].isalnum():
        raise InvalidParameterError(f"'{without_credentials(base)}' names no host.")


def _fetch_git(text: str, url: str, sub: str, version: str | None, *, remote: bool) -> FetchedProject:
    with _removed_on_error(_temporary_folder()) as folder:
        say(f"Fetching {without_credentials(text)} {f'at {version} ' if version else ''}...")
        commit, branch = git.fetch(url, version, folder, remote=remote)
        return FetchedProject(
            folder=_sub_folder(folder, sub),
            source=without_credentials(text) if remote else _source_of(Path(url)),
            temporary=folder,
            remote=remote,
            branch=branch,
            version_tags={COMMIT_TAG: commit, REPO_URL_TAG: without_credentials(url)},
        )


def _fetch_zip(text: str, base: str, local: Path | None, sub: str, version: str | None) -> FetchedProject:
    if version is not None:
        raise InvalidParameterError(
            f"A version ('{version}') can only be given for git repositories; '{without_credentials(base)}' is an archive."
        )
    if local is None and urlsplit(base).scheme.lower() not in _WEB:
        raise InvalidParameterError(
            f"'{without_credentials(base)}' cannot be fetched. Archives come from folders, http and https."
        )
    with _removed_on_error(_temporary_folder()) as folder:
        content = folder / "content"
        content.mkdir()
        if local is None:
            say(f"Downloading {without_credentials(base)} ...")
            archive = folder / "project.zip"
            download(base, archive)
            unpack(archive, content)
            archive.unlink()
        elif local.is_file():
            unpack(local, content)
        else:
            raise ExecutionError(f"There is no archive '{local}'. Check the path.")
        return FetchedProject(
            folder=_sub_folder(content, sub),
            source=without_credentials(text) if local is None else str(local.absolute()),
            temporary=folder,
            remote=local is None,
        )


def _sub_folder(folder: Path, sub: str) -> Path:
    result = folder / sub if sub else folder
    if not result.is_dir():
        raise ExecutionError(f"Could not find subdirectory '{sub}' of '{folder}'.")
    if not result.resolve().is_relative_to(folder.resolve()):
        raise InvalidParameterError(f"The subdirectory '{sub}' leads out of the project.")
    return result


def _temporary_folder() -> Path:
    parent = settings.TMP_DIR.get()
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="slipstream-project-", dir=parent))


def _source_of(folder: Path) -> str:
    """Return MLflow's name for a local source: the folder, or repository and sub folder."""
    top = git.top_folder(folder)
    if top is None:
        return str(folder)
    sub = folder.resolve().relative_to(top).as_posix()
    return f"file://{top}" if sub == "." else f"file://{top}#{sub}"
