"""Fetching projects: folders, git repositories, zip archives, and what archives from strangers may not do."""

import base64
import http.server
import io
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects import archive
from slipstream.projects.fetch import fetch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    monkeypatch.setenv("SLIPSTREAM_TMP_DIR", str(folder))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two commits on main, a tag on the first, and a branch `feature/x`."""
    folder = tmp_path / "repository"
    (folder / "sub" / "dir").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "file.txt").write_text("first")
    (folder / "sub" / "dir" / "file.txt").write_text("in sub")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "tag", "v1.0")
    git(folder, "checkout", "--quiet", "-b", "feature/x")
    (folder / "file.txt").write_text("feature")
    git(folder, "commit", "--quiet", "-am", "feature")
    git(folder, "checkout", "--quiet", "main")
    (folder / "file.txt").write_text("second")
    git(folder, "commit", "--quiet", "-am", "second")
    return folder


def text_of(folder: Path) -> str:
    return (folder / "file.txt").read_text()


def test_a_folder_is_used_in_place(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "a project"
    (project / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for uri in ("a project", str(project), project.as_uri(), f"'{project}'"):
        fetched = fetch(uri)
        assert fetched.folder == project
        assert (fetched.source, fetched.remote, fetched.temporary) == (str(project), False, None)
    assert fetch("a project#sub").folder == project / "sub"
    assert not temporary.exists()


def test_a_folder_of_a_repository_is_named_by_it(repository: Path) -> None:
    assert fetch(str(repository)).source == f"file://{repository}"
    assert fetch(str(repository / "sub" / "dir")).source == f"file://{repository}#sub/dir"


@pytest.mark.parametrize(
    ("version", "text", "branch"),
    [("main", "second", "main"), ("feature/x", "feature", "feature/x"), ("v1.0", "first", None)],
)
def test_a_version_of_a_local_repository(
    repository: Path, version: str, text: str, branch: str | None
) -> None:
    fetched = fetch(str(repository), version)
    assert text_of(fetched.folder) == text
    assert fetched.branch == branch
    assert not fetched.remote
    assert fetched.temporary is not None
    assert stat.S_IMODE(fetched.temporary.stat().st_mode) == 0o700
    assert text_of(repository) == "second", "the user's own files stay as they are"


def test_commits_by_full_and_short_name(repository: Path) -> None:
    commit = git(repository, "rev-parse", "v1.0")
    assert text_of(fetch(str(repository), commit).folder) == "first"
    assert text_of(fetch(str(repository), commit[:9]).folder) == "first"
    assert fetch(str(repository), commit).branch is None


def test_a_sub_folder_of_a_version(repository: Path) -> None:
    assert text_of(fetch(f"{repository}#sub/dir", "v1.0").folder) == "in sub"


def test_submodules_come_along(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet", "--initial-branch=main")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(repository), "inner")
    git(outer, "commit", "--quiet", "-m", "outer")
    assert text_of(fetch(str(outer), "main").folder / "inner") == "second"


def test_a_repository_on_a_server_is_remote(repository: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = subprocess.Popen(
        ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all", f"--base-path={tmp_path}"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # `git` starts the daemon as a process of its own
    )
    try:
        uri = f"git://127.0.0.1:{port}/repository"
        deadline = time.monotonic() + 60
        while True:
            try:
                fetched = fetch(uri)
                break
            except ExecutionError:
                assert time.monotonic() < deadline, "the daemon does not answer"
                time.sleep(0.05)
        assert text_of(fetched.folder) == "second"
        assert (fetched.remote, fetched.source) == (True, uri)
        assert text_of(fetch(uri, "feature/x").folder) == "feature"
        commit = git(repository, "rev-parse", "v1.0")
        in_sub = fetch(f"{uri}#sub/dir", commit[:9])
        assert text_of(in_sub.folder) == "in sub"
        assert in_sub.version_tags == {
            "mlflow.source.git.commit": commit,
            "mlflow.source.git.repoURL": uri,
        }
        with pytest.raises(ExecutionError, match="'nope'"):
            fetch(uri, "nope")
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait()


@pytest.mark.parametrize("version", ["nope", "0123456", "0" * 40])
def test_unknown_versions(repository: Path, temporary: Path, version: str) -> None:
    with pytest.raises(ExecutionError, match=version):
        fetch(str(repository), version)
    assert list(temporary.iterdir()) == [], "nothing stays behind"


@pytest.mark.parametrize(
    "version", ["--upload-pack=touch x", "-x", "a b", "a..b", "+a:b", "a:b", "HEAD^", "", "x\n"]
)
def test_versions_that_are_no_names(repository: Path, version: str) -> None:
    with pytest.raises(InvalidParameterError, match="no name"):
        fetch(str(repository), version)


def test_a_version_needs_a_repository(tmp_path: Path) -> None:
    with pytest.raises(ExecutionError, match="only be given for git"):
        fetch(str(tmp_path), "main")


def test_hooks_and_templates_do_not_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    hook = template / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template))
    fetch(str(repository), "main")
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    """A server that has one archive, and the Authorization headers it got."""
    seen: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            found = self.path == "/p.zip"
            self.send_response(200 if found else 404)
            self.end_headers()
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as opened:
                opened.writestr("MLproject", "name: x")
            self.wfile.write(content.getvalue() if found else b"")

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}", seen
        running.shutdown()
        thread.join()


def test_credentials_of_a_url_are_used_and_nowhere_shown(
    server: tuple[str, list[str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, seen = server
    fetched = fetch(f"http://user:SECRET@{address}/p.zip")
    assert fetched.source == f"http://{address}/p.zip"
    assert seen == ["Basic " + base64.b64encode(b"user:SECRET").decode()]
    for uri, version in (
        (f"http://user:SECRET@{address}/missing.zip", None),
        (f"http://user:SECRET@{address}/p.zip", "main"),
        (f"http://user:SECRET@{address}/repo.git", None),
        (f"http://user:SECRET@{address}/repo.git", "main"),
        ("http://user:SECRET@127.0.0.1:1/repo.git", None),
        ("http://user:SECRET@127.0.0.1:1/a b.git", None),
        ("http://user:SECRET@[bad/p.zip", None),
        ("ftp://user:SECRET@host/p.zip", None),
        ("file://user:SECRET@host/p", None),
        ("https://user:SECRET@-x/p", None),
    ):
        with pytest.raises((ExecutionError, InvalidParameterError)) as raised:
            fetch(uri, version)
        assert "SECRET" not in str(raised.value), uri
    assert "SECRET" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "uri",
    [
        "ext::sh -c touch% pwned",
        "fd::17",
        "transport::https://host/x",
        "https://-oProxyCommand=x/y",
        "ssh://-oProxyCommand=x/y",
        "ftp://host/x",
        "https://",
        "https://host/a b",
        "s3://bucket/x",
        "file://host/x",
        "s3://bucket/x.zip",
    ],
)
def test_other_kinds_of_uris_are_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        (InvalidParameterError, ExecutionError), match="(?i)project|host|archive|cannot be fetched"
    ):
        fetch(uri)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("sub", ["..", "../x", "a/../../b", "./a", "a.b"])
def test_dots_in_sub_folders_are_refused(tmp_path: Path, sub: str) -> None:
    with pytest.raises(InvalidParameterError, match="not allowed"):
        fetch(f"{tmp_path}#{sub}")


def test_sub_folders_that_are_missing_or_lead_out(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "out").symlink_to(tmp_path)
    with pytest.raises(ExecutionError, match="subdirectory 'nope'"):
        fetch(f"{project}#nope")
    with pytest.raises(InvalidParameterError, match="leads out"):
        fetch(f"{project}#out")


# -- archives ---------------------------------------------------------------------------------------


def make_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    path = make_zip(
        tmp_path / "p.zip",
        ("MLproject", b"name: x"),
        ("sub/dir/file.txt", b"text"),
        (with_mode("run.sh", stat.S_IFREG | 0o755), b"#!/bin/sh"),
    )
    fetched = fetch(str(path))
    assert (fetched.folder / "MLproject").read_bytes() == b"name: x"
    assert (fetched.folder / "run.sh").stat().st_mode & stat.S_IXUSR
    assert not (fetched.folder / "MLproject").stat().st_mode & stat.S_IXUSR
    assert text_of(fetch(f"{path}#sub/dir").folder) == "text"
    assert text_of(fetch(f"{path.as_uri()}#sub/dir").folder) == "text"


GIT_CONFIG = b"""[core]
repositoryformatversion = 0
fsmonitor = touch PWNED
[filter "x"]
clean = touch PWNED
"""


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        "sub/.GIT/config",
        ".git",
        "a/.Git",
        ".git ./config",
        "git~1/config",
        ".g\u200cit/config",
    ],
)
def test_no_git_repository_comes_out_of_an_archive(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_zip(
        tmp_path / "p.zip", ("MLproject", b"name: x"), (name, GIT_CONFIG), (".gitattributes", b"")
    )
    folder = fetch(str(path)).folder
    assert {each.name for each in folder.rglob("*") if each.is_file()} == {"MLproject", ".gitattributes"}
    assert "'.git' is left out" in capsys.readouterr().err


def test_an_archive_has_no_versions(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="version"):
        fetch(str(make_zip(tmp_path / "p.zip", ("a", b""))), "main")


SLIPS = [
    "../x",
    "a/../../x",
    "/etc/x",
    "//etc/x",
    "..\\x",
    "a\\..\\..\\x",
    "C:\\x",
    "C:x",
    "\\\\host\\x",
    "a\nb",
    "..",
]


@pytest.mark.parametrize("name", SLIPS)
def test_members_outside_of_the_folder(tmp_path: Path, temporary: Path, name: str) -> None:
    path = make_zip(tmp_path / "p.zip", ("good.txt", b"good"), (name, b"bad"))
    before = {each for each in tmp_path.rglob("*") if temporary not in each.parents}
    with pytest.raises(InvalidParameterError, match="outside"):
        fetch(str(path))
    after = {each for each in tmp_path.rglob("*") if temporary not in each.parents}
    assert after - before <= {temporary}
    assert list(temporary.iterdir()) == [], "not even the good member is written"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_members_that_are_no_plain_files(tmp_path: Path, kind: int) -> None:
    path = make_zip(tmp_path / "p.zip", (with_mode("link", kind | 0o777), b"/etc"), ("link/x", b"bad"))
    with pytest.raises(InvalidParameterError, match="no plain file"):
        fetch(str(path))


def test_bombs(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = make_zip(tmp_path / "honest.zip", ("zeros", bytes(20 << 20)))
    with pytest.raises(InvalidParameterError, match="20,971,520 bytes"):
        fetch(str(honest))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    with pytest.raises(InvalidParameterError, match="4 members"):
        fetch(str(make_zip(tmp_path / "many.zip", *((str(index), b"") for index in range(4)))))
    assert list(temporary.iterdir()) == []


def test_a_bomb_that_lies_about_its_size(tmp_path: Path, temporary: Path) -> None:
    path = make_zip(tmp_path / "liar.zip", ("zeros", bytes(20 << 20)))
    real, said = (20 << 20).to_bytes(4, "little"), (5).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(real, said))
    with pytest.raises(InvalidParameterError, match="cannot be unpacked|larger"):
        fetch(str(path))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(content)
    with pytest.raises(InvalidParameterError, match=r"p\.zip.*cannot be unpacked"):
        fetch(str(path))


def test_duplicate_members(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a", b"2")
    with pytest.raises(InvalidParameterError, match="cannot be unpacked"):
        fetch(str(path))
