"""From parameter values to an argument list: values are data, whatever they hold."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects.entry_points import parse_entry_point

SHOW = "import json, sys; print(json.dumps(sys.argv[1:]))"
# What a program's arguments can hold at all: no NUL, no lone surrogates.
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
NASTY = [
    "$(touch pwned)",
    "`id`",
    "; rm -rf x",
    "a b",
    "'",
    '"',
    "{p}",
    "{{}}",
    "\\",
    "",
    "-rf",
    "--x=y",
    "*",
    "~",
    "\n",
    "$HOME",
]


def build(command: str, given_values: dict[str, Any], folder: Path, **parameters: Any) -> list[str]:
    entry = parse_entry_point("main", {"command": command, "parameters": parameters})
    return entry.build(given_values, folder, folder / "storage").argv


@pytest.mark.parametrize("value", NASTY)
def test_nasty_values_arrive_unchanged_in_the_child(tmp_path: Path, value: str) -> None:
    argv = build(
        'python -c "{code}" {p} --x={p} "{p}{p}"',
        {"p": value, "code": SHOW},
        tmp_path,
        p="string",
        code="string",
    )
    done = subprocess.run([sys.executable, *argv[1:]], capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == [value, f"--x={value}", value + value]
    assert not (tmp_path / "pwned").exists()


@given(p=VALUES, extra=VALUES)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_value_stays_one_argument(tmp_path: Path, p: str, extra: str) -> None:
    argv = build("python t.py {p} 'x {p}'", {"p": p, "other": extra}, tmp_path, p="string")
    assert argv == ["python", "t.py", p, f"x {p}", "--other", extra]


@given(values=st.lists(VALUES, min_size=1, max_size=5))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_values_arrive_in_the_child(tmp_path: Path, values: list[str]) -> None:
    names = {f"p{index}": value for index, value in enumerate(values)}
    argv = build("python -c '{code}' " + " ".join(f"{{{name}}}" for name in names), {"code": SHOW, **names}, tmp_path,
                 code="string", **dict.fromkeys(names, "string"))  # fmt: skip
    done = subprocess.run([sys.executable, *argv[1:]], capture_output=True, check=True)
    assert json.loads(done.stdout) == values


def test_defaults_extras_and_the_params_to_log(tmp_path: Path) -> None:
    entry = parse_entry_point(
        "main",
        {"command": "train {a} {b}", "parameters": {"a": {"type": "float", "default": 0.5}, "b": "string"}},
    )
    command = entry.build({"b": "x y", "c": 3, "d": True}, tmp_path, tmp_path)
    assert command.argv == ["train", "0.5", "x y", "--c", "3", "--d", "True"]
    assert command.params == {"a": "0.5", "b": "x y", "c": "3", "d": "True"}


def test_all_missing_parameters_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExecutionError, match="No value given for missing parameters: 'a', 'c'"):
        build("x {a} {b} {c}", {}, tmp_path, a="string", b={"default": 1}, c={"type": "path"})


@pytest.mark.parametrize("value", ["1", "-1.5", "1e-3", "nan", "inf", 7])
def test_floats_are_numbers_and_keep_their_spelling(tmp_path: Path, value: object) -> None:
    assert build("x {a}", {"a": value}, tmp_path, a="float") == ["x", str(value)]


@pytest.mark.parametrize("value", ["", "one", "1,5", "1; ls", "0x10"])
def test_other_values_for_floats_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"'a' must be a number.*'{value}'"):
        build("x {a}", {"a": value}, tmp_path, a="float")


def test_uris_need_a_scheme(tmp_path: Path) -> None:
    assert build("x {a}", {"a": "s3://b/c"}, tmp_path, a="uri") == ["x", "s3://b/c"]
    with pytest.raises(InvalidParameterError, match="'a' must be a URI.*'data.csv'"):
        build("x {a}", {"a": "data.csv"}, tmp_path, a="uri")


def test_paths_become_absolute_and_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, project = tmp_path / "elsewhere", tmp_path / "project"
    for folder in (elsewhere, project):
        folder.mkdir()
        (folder / "d.csv").touch()
    (elsewhere / "own.csv").touch()
    monkeypatch.chdir(elsewhere)
    parameters = {"a": {"type": "path", "default": "d.csv"}}
    assert build("x {a}", {"a": "own.csv"}, project, **parameters) == ["x", str(elsewhere / "own.csv")]
    assert build("x {a}", {"a": "d.csv"}, project, **parameters) == ["x", str(elsewhere / "d.csv")]
    assert build("x {a}", {}, project, **parameters) == ["x", str(project / "d.csv")]
    uri = (elsewhere / "own.csv").as_uri()
    assert build("x {a}", {"a": uri}, project, **parameters) == ["x", str(elsewhere / "own.csv")]
    with pytest.raises(InvalidParameterError, match="'a' must be an existing.*'nope'"):
        build("x {a}", {"a": "nope"}, project, **parameters)


def test_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="NUL"):
        build("x {a}", {"a": "\0"}, tmp_path, a="string")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python train.py", ["python", "train.py"]),
        ("  python\ttrain.py  ", ["python", "train.py"]),
        ("python a.py \\\n  --x 1", ["python", "a.py", "--x", "1"]),
        (
            "python -c 'import os; print(1 > 0 and \"$HOME\")'",
            ["python", "-c", 'import os; print(1 > 0 and "$HOME")'],
        ),
        ("echo \\$HOME \\* 5$ a#b a~b", ["echo", "$HOME", "*", "5$", "a#b", "a~b"]),
        ('echo "a | b & c; d *"', ["echo", "a | b & c; d *"]),
        ("echo {{x}} {{", ["echo", "{x}", "{"]),
        ('echo "" x', ["echo", "", "x"]),
    ],
)
def test_words(tmp_path: Path, command: str, words: list[str]) -> None:
    assert build(command, {}, tmp_path) == words


@pytest.mark.parametrize(
    ("command", "feature"),
    [
        ("a | b", "pipe"),
        ("a || b", "pipe"),
        ("a && b", "&&"),
        ("a &", "&"),
        ("a; b", "';'"),
        ("a > out", "redirection"),
        ("a 2>&1", "redirection"),
        ("a < in", "redirection"),
        ("echo $HOME", "environment variable"),
        ("echo ${HOME}", "environment variable"),
        ('echo "$HOME"', "environment variable"),
        ("echo $(id)", "command substitution"),
        ('echo "$(id)"', "command substitution"),
        ("echo `id`", "command substitution"),
        ('echo "`id`"', "command substitution"),
        ("(cd x)", "subshell"),
        ("ls *.py", "file pattern"),
        ("ls a?", "file pattern"),
        ("ls [ab]", "file pattern"),
        ("ls ~/x", "home folder"),
        ("python a.py # why", "comment"),
        ("python a.py\npython b.py", "several lines"),
    ],
)
def test_what_needs_a_shell_is_refused_with_the_way_out(tmp_path: Path, command: str, feature: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"(?s)'main' uses .*{feature}.*script"):
        build(command, {}, tmp_path)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("A=1 python x.py", "env A=1"),
        ("python 'x", "quotes"),
        ("python {unknown}", "{unknown}"),
        ("python {", "lone '{'"),
        ("python x}", "lone '}'"),
        ("python {}", "{}"),
        ("   ", "empty"),
    ],
)
def test_other_wrong_templates(tmp_path: Path, command: str, named: str) -> None:
    with pytest.raises(InvalidParameterError, match=named):
        build(command, {}, tmp_path)
