"""The house rules that a program can check, on the files of this repository."""

import ast
import json
import re
import runpy
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from slipstream import settings
from slipstream.db import migrate

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "slipstream"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
LONGEST = 600

UNPICKLERS = {
    "flavors/lightgbm.py",  # asks models/trust.py first
    "flavors/pickling.py",  # asks models/trust.py first
    "flavors/pytorch.py",  # asks models/trust.py first
    "flavors/sklearn.py",  # asks models/trust.py first
    "flavors/statsmodels.py",  # asks models/trust.py first
}
"""The files that may read pickles, each with what makes it safe."""

PRINTERS = {
    "cli/out.py",  # all output of the command line
    "client/active_run.py",  # MLflow's two lines at the end of a run, which scripts look for
    "projects/progress.py",  # what a project run is doing, on standard error
}
"""The files that may print, each with what it prints."""

EVALUATORS = {
    "models/model_code.py",  # "models from code": the model is a Python file that the user named
}
"""The files that may execute code from data, each with whose code it is."""


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return the files that git has, or would add."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("this is no git checkout, so nobody knows which files belong to it")
    return tuple(path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file())


def sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Yield (line, dotted name, call) of each call in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


# -- names and sizes --------------------------------------------------------------------------------------


def test_every_file_is_named_after_its_subject() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in tracked_files()
        for part in path.relative_to(ROOT).parts
        if part.split(".")[0].lower() in FORBIDDEN_NAMES
    }
    assert not found, "what is shared has a subject: name the file after it"


def test_a_long_file_says_why_it_is_one() -> None:
    long: list[str] = []
    for path in sources():
        text = path.read_text("utf-8")
        if text.count("\n") <= LONGEST:
            continue
        docstring = ast.get_docstring(ast.parse(text)) or ""
        if not re.search(r"\bone (file|idea)\b", docstring, re.IGNORECASE):
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
    assert not long, f"over {LONGEST} lines: split it, or say in its docstring why it is one file"


def test_no_file_names_this_machine() -> None:
    """No path of somebody's machine, and no registry's host: both are wrong everywhere else."""
    # Written in parts, so that this file passes its own test.
    homes = [f"/{top}/" for top in ("root", "work")] + ["/opt/" + "wheels", re.escape(f"{Path.home()}/")]
    hosts = [r"\bpypi\." + "org", "python" + "hosted", "registry" + r"\.npmjs", r"deb\." + "debian"]
    pattern = re.compile("|".join([rf"(?<![\w.}}$)]){home}" for home in homes] + hosts))
    found: list[str] = []
    for path in tracked_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            where(path, number) for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)
        ]
    assert not found


# -- what is dangerous ------------------------------------------------------------------------------------


def test_no_command_goes_through_a_shell() -> None:
    found: list[str] = []
    for path in sources():
        for line, name, call in calls(path):
            shell = next((word for word in call.keywords if word.arg == "shell"), None)
            through_shell = shell is not None and not (
                isinstance(shell.value, ast.Constant) and not shell.value.value
            )
            if through_shell or name in {
                "os.system",
                "os.popen",
                "subprocess.getoutput",
                "subprocess.getstatusoutput",
            }:
                found.append(where(path, line))
    assert not found, "start programs with a list of arguments"


def test_pickles_are_read_only_where_trust_is_asked() -> None:
    readers = {
        f"{module}.{verb}"
        for module in ("pickle", "cloudpickle", "dill", "joblib")
        for verb in ("load", "loads")
    }
    readers |= {"pickle.Unpickler", "pandas.read_pickle", "torch.load", "shelve.open", "marshal.loads"}
    found: list[str] = []
    for path in sources():
        if path.relative_to(SRC).as_posix() in UNPICKLERS:
            continue
        found += [where(path, line) for line, name, _ in calls(path) if name in readers]
    assert not found, "a pickle can run any code: read it in one of UNPICKLERS, after models/trust.py agreed"


def test_yaml_is_read_safely() -> None:
    loaders = {"yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"}
    found: list[str] = []
    for path in sources():
        for line, name, call in calls(path):
            loader = next((ast.unparse(word.value) for word in call.keywords if word.arg == "Loader"), "")
            if name in loaders and "Safe" not in loader:
                found.append(where(path, line))
    assert not found, "use yaml.safe_load, or a Loader derived from SafeLoader"


def test_nothing_is_evaluated() -> None:
    found = [
        where(path, line)
        for path in sources()
        if path.relative_to(SRC).as_posix() not in EVALUATORS
        for line, name, _ in calls(path)
        if name in {"eval", "exec"}
    ]
    assert not found


def test_only_named_files_print() -> None:
    found = [
        where(path, line)
        for path in sources()
        if path.relative_to(SRC).as_posix() not in PRINTERS
        for line, name, _ in calls(path)
        if name == "print"
    ]
    assert not found, "a library logs; the command line prints through cli/out.py"


def test_no_exception_is_stale() -> None:
    """A file that is gone, or no longer does what it was allowed to do, leaves the lists above."""
    assert {name for name in UNPICKLERS | PRINTERS | EVALUATORS if not (SRC / name).is_file()} == set()
    for allowed, names in ((PRINTERS, {"print"}), (EVALUATORS, {"eval", "exec"})):
        for name in allowed:
            assert any(called in names or called.endswith("echo") for _, called, _ in calls(SRC / name)), name


# -- undocumented is red ----------------------------------------------------------------------------------


def test_every_setting_is_described() -> None:
    for setting in settings.ALL.values():
        assert setting.description.endswith("."), setting.name
        assert setting.name.startswith("SLIPSTREAM_")


def test_the_settings_page_is_current() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_settings_page.py"))
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert page == made["page"](), "run: python tools/make_settings_page.py"


def test_environment_is_read_only_through_settings() -> None:
    """A variable of ours that is read elsewhere would be missing from the page."""
    pattern = re.compile(
        r"""(?:environ(?:\.get\(|\[|\.pop\()|getenv\()\s*["'](?:SLIPSTREAM|MLFLOW)_\w+["'](?!\]\s*=[^=])"""
    )
    found = [
        where(path, number)
        for path in sources()
        if path != SRC / "settings.py"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "declare it in settings.py"


def _distribution(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return name[0].lower()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared: dict[str, set[str]] = {
        "Runtime": {_distribution(d) for d in project["project"]["dependencies"]}
    }
    for name, requirements in project["project"]["optional-dependencies"].items():
        declared[f"Extra `{name}`"] = {_distribution(d) for d in requirements}
    for name, requirements in project["dependency-groups"].items():
        if own := {_distribution(d) for d in requirements if isinstance(d, str)}:
            declared[f"Group `{name}`"] = own
    llm = (ROOT / "tests" / "llm" / "requirements.txt").read_text("utf-8").splitlines()
    declared["Tests of language models"] = {_distribution(d) for d in llm if not d.startswith("#")}
    trained: list[str] = []
    for name in ("requirements.txt", "networks.txt"):
        trained += (ROOT / "tests" / "autologging" / name).read_text("utf-8").splitlines()
    declared["Tests of autologging"] = {_distribution(d) for d in trained if not d.startswith("#")}
    libraries = (ROOT / "tests" / "libraries" / "requirements.txt").read_text("utf-8").splitlines()
    declared["Tests of libraries"] = {_distribution(d) for d in libraries if not d.startswith("#")}
    node = runpy.run_path(str(ROOT / "ui" / "build.py"))["NODE_PACKAGE"]
    declared["Build"] = {_distribution(d) for d in [*project["build-system"]["requires"], node]}
    package = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))
    declared["Web pages"] = {*package["dependencies"], *package["devDependencies"]}

    explained: dict[str, set[str]] = {}
    section = ""
    for line in (ROOT / "docs" / "reference" / "dependencies.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
            explained[section] = set()
        elif row := re.match(r"\| ([A-Za-z0-9._@/-]+) \| (.{10,}) \|$", line):
            explained[section].add(row[1].lower())
    assert explained == declared


def test_every_dependency_is_pinned_for_developers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {_distribution(d) for d in project["project"]["dependencies"]}
    extras = dict(project["project"]["optional-dependencies"])
    groups = dict(project["dependency-groups"])
    # What the Makefile's LOCKED leaves out, too: torch's builds differ by machine (tests/llm/requirements.txt has the pins), Ray
    # is for `make test-ray` only, and of KServe only the descriptions are wanted, in one release, without what it depends on.
    # The libraries whose trainings are logged have their pins in tests/autologging.
    for name in (
        "transformers",
        "onnx-genai",
        "ray",
        "xgboost",
        "lightgbm",
        "statsmodels",
        "pytorch",
        "keras",
    ):
        del extras[name]
    del groups["kserve"]
    for requirements in [*extras.values(), *groups.values()]:
        wanted |= {_distribution(d) for d in requirements if isinstance(d, str)}
    lines = (ROOT / "dev.lock").read_text("utf-8").splitlines()
    pinned = {re.split(r"[=\[ ]", line)[0] for line in lines if "==" in line}
    assert wanted - pinned == set(), "run: make lock"


def test_the_types_of_the_web_pages_are_those_of_the_api() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_ui_types.py"))

    assert made["TARGET"].read_text("utf-8") == made["types_text"](), "run: python tools/make_ui_types.py"


def test_the_lock_of_the_web_pages_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "ui" / "package-lock.json").read_text("utf-8")


# -- the schema -------------------------------------------------------------------------------------------


def test_migrations_are_numbered_once_each_from_the_first() -> None:
    """That all of them together are schema.sql is compared on databases: unit/test_migrate.py, contract/test_schema.py."""
    folder = SRC / "db" / "migrations"
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "__init__.py")
    assert names[0].startswith("0001_")
    assert all(migrate.FILE.fullmatch(name) for name in names)
    assert len({name[:4] for name in names}) == len(names)


def test_migrations_in_python_stay_as_they_are() -> None:
    """What they import of slipstream may not change what they do: a database of today is brought forward in years."""
    allowed = {"slipstream.db.base", "slipstream.errors"}
    for path in (SRC / "db" / "migrations").glob("[0-9]*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert any(isinstance(node, ast.FunctionDef) and node.name == "migrate" for node in tree.body), path
        used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        used |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        ours = {name for name in used if name is not None and name.partition(".")[0] == "slipstream"}
        assert ours <= allowed, f"{path.name} imports {sorted(ours - allowed)}: copy what it needs into it"


def test_nobody_draws_from_the_users_random_numbers() -> None:
    """A program that is seeded must give the same with slipstream as without."""
    for path in sources():
        if path.is_relative_to(SRC / "testing"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "random"
            ):
                assert node.attr in ("SystemRandom", "Random"), f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom):
                assert node.module != "random", f"{path}:{node.lineno}"
