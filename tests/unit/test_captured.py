"""What a run's context holds."""

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from slipstream import settings
from slipstream.client.context import captured, host, notebook, packages, program, wanted
from slipstream.errors import InvalidParameterError

pytestmark = pytest.mark.usefixtures("no_settings")


def capture(*names: str) -> captured.Captured:
    """Return what is found without Git."""
    return next(captured.capture(frozenset(names), program.this_program()))


def test_the_lock_has_every_package_once() -> None:
    lines = packages.requirements_lock(sys.path).splitlines()

    assert f"# Python {sys.version.split()[0]} (cpython)" in lines
    assert f"click=={importlib.metadata.version('click')}" in lines
    found = [line.split("==")[0].split(" @ ")[0] for line in lines if not line.startswith("#")]
    assert len(found) == len(set(found))
    installed = {
        each.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        for each in importlib.metadata.distributions()
    }
    assert installed - {"slipstream"} <= {name.removeprefix("# ") for name in found}


def test_packages_from_addresses_keep_them_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(name: str, origin: object) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "direct_url.json").write_text(json.dumps(origin))

    install(
        "by_git", {"url": "https://me:pw@example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    )
    install("by_file", {"url": "https://me:pw@example.org/y-1.0.whl", "archive_info": {}})
    install("by_folder", {"url": "file:///home/me/z", "dir_info": {"editable": True}})
    install("broken", "?")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    lines = packages.requirements_lock(sys.path).splitlines()[2:]

    assert lines == [
        "broken==1.0",
        "by-file @ https://example.org/y-1.0.whl",
        "# by-folder==1.0 was installed from file:///home/me/z",
        "by-git @ git+https://example.org/x.git@abc",
    ]


def test_the_host_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no")

    facts = host.host_facts(program.this_program())

    assert facts["memory"]["total_bytes"] > 1_000_000
    assert facts["cpu"]["count"] >= 1
    assert facts["environment"]["SLURM_JOB_ID"] == "17"
    assert facts["inside"]["scheduler"] == "slurm"
    assert "AWS" not in json.dumps(facts)


def test_the_command_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", "train.py", "--password", "x y", "--lr", "1"])

    assert capture("command").tags["slipstream.command"] == "python3 train.py --password '<masked>' --lr 1"


def test_one_thing_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(into: captured.Captured, about: program.Program) -> None:
        raise RuntimeError("no")

    monkeypatch.setitem(captured._SOON, "host", fail)

    found = capture("command", "host", "packages")

    assert set(found.files) == {"context/requirements.lock"}
    assert found.missing == ["host: RuntimeError: no"]


def test_a_notebook_is_kept_without_outputs_and_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "n.ipynb"
    cells = [
        {"cell_type": "code", "source": ["api_key = 'abcdef12'\n", "x = 1"], "outputs": [{"data": "large"}]}
    ]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))

    kept = json.loads(notebook.notebook_content(str(notebook.notebook_path())))

    assert kept["cells"][0] == {"cell_type": "code", "source": "api_key = '<masked>'\nx = 1", "outputs": []}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", set()),
        ("all", set(settings.CAPTURES)),
        ("host, diff", {"host", "diff"}),
        ("-diff,-untracked", set(settings.CAPTURES) - {"diff", "untracked"}),
        ("all,-host", set(settings.CAPTURES) - {"host"}),
    ],
)
def test_what_is_captured_can_be_chosen(
    text: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_CAPTURE", text)

    assert set(settings.CAPTURE.get()) == expected


def test_a_word_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_CAPTURE", "dif")

    with pytest.raises(InvalidParameterError, match="a minus leaves one out"):
        settings.CAPTURE.get()


def test_in_a_test_nothing_goes_on_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wanted.wanted("http://example.org").anything

    monkeypatch.setenv("SLIPSTREAM_CONSOLE", "true")
    monkeypatch.setenv("SLIPSTREAM_HEARTBEAT_SECONDS", "3")

    asked = wanted.wanted("http://example.org")
    assert (asked.console, asked.heartbeat_seconds) == (True, 3.0)
    assert not wanted.wanted("sqlite:///x.db").console
