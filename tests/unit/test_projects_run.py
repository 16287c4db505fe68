"""Running projects: what is recorded, what the child gets, and how runs end.

One file, since all of it starts the same project and looks at the run that comes of it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream import projects
from slipstream.client.client import SlipstreamClient
from slipstream.entities import Run, RunStatus
from slipstream.errors import ExecutionError, InvalidParameterError, PermissionDeniedError
from slipstream.projects import launch
from slipstream.projects.backends import local
from slipstream.projects.environment_spec import EnvironmentSpec
from slipstream.projects.termination import delayed_sigterm

pytestmark = pytest.mark.usefixtures("tracking")

SHOW = """
import json, os, sys
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "python": sys.executable}, open("seen.json", "w"))
"""
MLPROJECT = """
name: example
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      name: string
    command: python show.py {alpha} --name {name}
  track: {command: python track.py}
  fail: {command: "python -c 'import sys; sys.exit(3)'"}
  missing: {command: no-such-program x}
  needs_shell: {command: "a | b"}
"""
TRACK = """
import slipstream as mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("m", 1.5)
    mlflow.log_param("inside", run.info.run_id)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "MLproject").write_text(MLPROJECT)
    (folder / "show.py").write_text(SHOW)
    (folder / "track.py").write_text(TRACK)
    return folder


def seen(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "seen.json").read_text())


def all_runs() -> list[Run]:
    return list(SlipstreamClient().search_runs(["0"], order_by=["attributes.start_time ASC"]))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


def test_a_run_is_recorded_as_mlflow_does(project: Path, tracking: str) -> None:
    submitted = projects.run(
        str(project), parameters={"name": "a b", "extra": "$(id)"}, env_manager="local", run_name="hello"
    )
    assert (submitted.get_status(), submitted.wait()) == ("FINISHED", True)
    run = slipstream.get_run(submitted.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "hello"
    # MLflow logs the values as quoted for its shell, "'a b'"; here they are what was given.
    assert run.data.params == {"alpha": "0.5", "name": "a b", "extra": "$(id)"}
    tags = dict(run.data.tags)
    assert tags.pop("mlflow.user")
    assert tags == {
        "mlflow.source.name": str(project),
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": "main",
        "mlflow.project.backend": "local",
        "mlflow.runName": "hello",
    }
    child = seen(project)
    assert child["argv"] == ["0.5", "--name", "a b", "--extra", "$(id)"]
    assert child["cwd"] == str(project)
    assert os.path.realpath(child["python"]) == os.path.realpath(sys.executable)
    for prefix in ("MLFLOW_", "SLIPSTREAM_"):
        assert child["env"][f"{prefix}RUN_ID"] == submitted.run_id
        assert child["env"][f"{prefix}EXPERIMENT_ID"] == "0"
        assert child["env"][f"{prefix}TRACKING_URI"] == tracking


def test_the_projects_code_resumes_the_run(project: Path) -> None:
    run_id = projects.run(str(project), "track", env_manager="local").run_id
    run = slipstream.get_run(run_id)
    assert run.data.metrics == {"m": 1.5}
    assert run.data.params == {"inside": run_id}
    assert run.info.status == "FINISHED"
    assert len(all_runs()) == 1


def test_a_relative_database_is_the_same_one_for_the_child(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slipstream.set_tracking_uri("sqlite:///relative.db")
    run_id = projects.run(str(project), "track", env_manager="local").run_id
    assert slipstream.get_run(run_id).data.metrics == {"m": 1.5}
    assert (tmp_path / "relative.db").is_file()
    assert not (project / "relative.db").exists()


def test_runs_inside_a_run_are_its_children(project: Path) -> None:
    with slipstream.start_run() as parent:
        run_id = projects.run(str(project), "track", env_manager="local").run_id
    assert slipstream.get_run(run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert slipstream.get_run(parent.info.run_id).data.metrics == {}


def test_the_experiment_is_made_and_told_to_the_child(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the shell")
    run_id = projects.run(
        str(project), parameters={"name": "x"}, experiment_name="new", env_manager="local"
    ).run_id
    experiment = slipstream.get_experiment_by_name("new")
    assert experiment is not None
    assert slipstream.get_run(run_id).info.experiment_id == experiment.experiment_id
    child = seen(project)["env"]
    assert child["MLFLOW_EXPERIMENT_ID"] == experiment.experiment_id
    assert "MLFLOW_EXPERIMENT_NAME" not in child
    again = projects.run(
        str(project), "track", experiment_id=experiment.experiment_id, env_manager="local"
    ).run_id
    assert slipstream.get_run(again).info.experiment_id == experiment.experiment_id
    with pytest.raises(InvalidParameterError, match="only one"):
        projects.run(str(project), experiment_name="a", experiment_id="1")


def test_an_existing_run_is_resumed(project: Path) -> None:
    run = SlipstreamClient().create_run("0", run_name="before")
    submitted = projects.run(str(project), "track", run_id=run.info.run_id, env_manager="local")
    assert submitted.run_id == run.info.run_id
    assert len(all_runs()) == 1
    after = slipstream.get_run(run.info.run_id)
    assert after.info.status == "FINISHED"
    assert after.info.run_name == "before"


@pytest.mark.parametrize(
    ("entry_point", "parameters", "error", "named"),
    [
        ("main", {}, ExecutionError, "'name'"),
        ("main", {"name": "x", "alpha": "one"}, InvalidParameterError, "'alpha'.*'one'"),
        ("nope", {}, ExecutionError, "'nope'"),
        ("needs_shell", {}, InvalidParameterError, "pipe"),
    ],
)
def test_nothing_is_recorded_when_something_is_wrong_from_the_start(
    project: Path, entry_point: str, parameters: dict[str, str], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        projects.run(
            str(project), entry_point, parameters=parameters, experiment_name="new", env_manager="local"
        )
    assert slipstream.get_experiment_by_name("new") is None
    assert all_runs() == []


@pytest.mark.parametrize(
    "arguments",
    [{"backend": "kubernetes"}, {"env_manager": "poetry"}, {"backend_config": "missing.json"}],
)
def test_wrong_arguments_are_named(project: Path, arguments: dict[str, str]) -> None:
    with pytest.raises((ExecutionError, InvalidParameterError), match=next(iter(arguments.values()))):
        projects.run(str(project), "track", **arguments)
    assert all_runs() == []


def test_a_failed_command_fails_the_run(project: Path) -> None:
    with pytest.raises(projects.ExecutionException, match="failed"):
        projects.run(str(project), "fail", env_manager="local")
    assert [run.info.status for run in all_runs()] == ["FAILED"]


def test_a_missing_program_is_refused_before_a_run_is_recorded(project: Path) -> None:
    with pytest.raises(projects.ExecutionException, match="'no-such-program'"):
        projects.run(str(project), "missing", env_manager="local")
    (project / "MLproject").write_text("entry_points: {main: {command: ./tool}}")
    (project / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(projects.ExecutionException, match="chmod"):
        projects.run(str(project), env_manager="local")
    assert all_runs() == []


def test_a_run_that_the_code_ended_itself_stays_so(project: Path) -> None:
    (project / "end.py").write_text(
        "import slipstream, sys\nslipstream.start_run()\nslipstream.end_run('KILLED')\nsys.exit(1)\n"
    )
    with pytest.raises(ExecutionError, match="failed"):
        projects.run(str(project), "end.py", env_manager="local")
    assert [run.info.status for run in all_runs()] == ["KILLED"]


def test_path_parameters_are_downloaded_and_removed(project: Path, tmp_path: Path) -> None:
    (project / "MLproject").write_text(
        "entry_points: {main: {parameters: {data: path}, command: 'python show.py {data}'}}"
    )
    (project / "show.py").write_text(
        SHOW.replace("sys.argv[1:]", "[*sys.argv[1:], open(sys.argv[1]).read()]")
    )
    with slipstream.start_run() as source:
        slipstream.log_text("content", "folder/data.txt")
    uri = f"runs:/{source.info.run_id}/folder/data.txt"
    run_id = projects.run(str(project), parameters={"data": uri}, env_manager="local").run_id
    path, content = seen(project)["argv"]
    assert content == "content"
    assert not Path(path).exists()
    assert slipstream.get_run(run_id).data.params == {"data": uri}
    storage = tmp_path / "storage"
    projects.run(str(project), parameters={"data": uri}, env_manager="local", storage_dir=str(storage))
    assert Path(seen(project)["argv"][0]).is_relative_to(storage)
    assert Path(seen(project)["argv"][0]).read_text() == "content"


# -- git and trust ----------------------------------------------------------------------------------


def make_repository(folder: Path) -> str:
    """Commit what is in a folder and return the commit."""
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "first"],
        ["remote", "add", "origin", "https://user:secret@example.org/repo.git"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_version_of_a_repository_is_recorded(project: Path) -> None:
    commit = make_repository(project)
    (project / "track.py").write_text("raise SystemExit('changed since')")
    run_id = projects.run(str(project), "track", version="main", env_manager="local").run_id
    tags = slipstream.get_run(run_id).data.tags
    assert tags["mlflow.source.name"] == f"file://{project}"
    assert tags["mlflow.source.git.commit"] == commit
    assert tags["mlflow.source.git.branch"] == "main"


def test_a_repository_in_place_is_recorded_without_password(project: Path) -> None:
    commit = make_repository(project)
    run_id = projects.run(str(project), "track", env_manager="local").run_id
    tags = slipstream.get_run(run_id).data.tags
    assert tags["mlflow.source.git.commit"] == commit
    assert tags["mlflow.source.git.repoURL"] == "https://example.org/repo.git"
    assert "mlflow.source.git.branch" not in tags


def test_what_is_fetched_from_elsewhere_needs_trust(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "remote.zip"
    (project / "requirements.txt").write_text("some-package>=1")
    with zipfile.ZipFile(archive, "w") as opened:
        for file in project.iterdir():
            opened.write(file, file.name)

    serve_archive(monkeypatch, archive)
    monkeypatch.setenv("SLIPSTREAM_TMP_DIR", str(tmp_path / "temporary"))
    uri = "https://example.org/remote.zip"
    with pytest.raises(PermissionDeniedError) as refused:
        projects.run(uri, parameters={"name": "x"})
    for told in (uri, "python show.py", "some-package>=1", "--trust"):
        assert told in str(refused.value)
    assert all_runs() == []
    assert list((tmp_path / "temporary").iterdir()) == []

    run_id = projects.run(uri, "track", env_manager="local", trust=True).run_id
    assert slipstream.get_run(run_id).data.tags["mlflow.source.name"] == uri
    assert f"{uri}: entry point 'track' executes 'python track.py'" in capsys.readouterr().err
    assert list((tmp_path / "temporary").iterdir()) == []


def serve_archive(monkeypatch: pytest.MonkeyPatch, archive: Path) -> None:
    def download(url: str, target: Path) -> None:
        target.write_bytes(archive.read_bytes())

    monkeypatch.setattr("slipstream.projects.fetch.download", download)


def evil_files(pwned: Path) -> dict[str, bytes]:
    """Return a git repository whose configuration starts a program when git looks for changes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "MLproject").write_text("entry_points: {main: {command: 'true'}}")
        (folder / ".gitattributes").write_text("* filter=x\n")
        make_repository(folder)
        with (folder / ".git" / "config").open("a") as config:
            config.write(f'[filter "x"]\n\tclean = touch {pwned}; cat\n[core]\n\tfsmonitor = touch {pwned}\n')
        subprocess.run(["git", "status"], cwd=folder, check=True, capture_output=True)
        assert pwned.exists(), "the trap works"
        pwned.unlink()
        return {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file()
        }


@pytest.mark.parametrize("prefix", ["", "deep/"])
def test_nothing_of_an_archive_runs_before_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    pwned = tmp_path / "pwned"
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in evil_files(pwned).items():
            opened.writestr(f"{prefix}{name}", content)
    serve_archive(monkeypatch, archive)
    uri = "https://user:SECRET@example.org/p.zip" + ("#deep" if prefix else "")
    with pytest.raises(PermissionDeniedError, match="--trust") as refused:
        projects.run(uri)
    assert "SECRET" not in str(refused.value)
    assert not pwned.exists()
    run_id = projects.run(uri, trust=True).run_id
    assert not pwned.exists(), "git is not asked later either"
    tags = slipstream.get_run(run_id).data.tags
    assert tags["mlflow.source.name"] == uri.replace("user:SECRET@", "")
    assert not [name for name in tags if name.startswith("mlflow.source.git")], (
        "an archive has no known version"
    )


def test_a_bare_repository_inside_a_fetched_folder_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git takes a folder with HEAD, objects and refs for a repository, with or without the name .git."""
    pwned = tmp_path / "pwned"
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in evil_files(pwned).items():
            opened.writestr(f"bare/{name.removeprefix('.git/')}", content)
        opened.writestr("bare/refs/x", b"")
    serve_archive(monkeypatch, archive)
    # Inside a repository of the user's own there is a reason to ask git at all.
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.setenv("SLIPSTREAM_TMP_DIR", str(tmp_path / "temporary"))
    with pytest.raises(PermissionDeniedError):
        projects.run("https://example.org/p.zip#bare")
    assert not pwned.exists()


# -- environments -----------------------------------------------------------------------------------


def test_a_project_with_environment_file_runs_in_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_ENV_ROOT", str(tmp_path / "environments"))
    (project / "python_env.yaml").write_text("dependencies: []")
    run_id = projects.run(str(project), parameters={"name": "x"}).run_id
    child = seen(project)
    assert child["python"].startswith(str(tmp_path / "environments"))
    assert child["env"]["VIRTUAL_ENV"] in child["python"]
    assert slipstream.get_run(run_id).data.tags["mlflow.project.env"] == "uv"


def test_a_failed_build_fails_the_run(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_ENV_ROOT", str(tmp_path / "environments"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    (project / "requirements.txt").write_text("no-such-package-anywhere")
    with pytest.raises(ExecutionError, match="no-such-package-anywhere"):
        projects.run(str(project), "track")
    assert [run.info.status for run in all_runs()] == ["FAILED"]


def test_which_of_two_environment_files_is_used_is_said_in_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "python_env.yaml").write_text("python: '3.10'\ndependencies: [numpy]")
    (project / "conda.yaml").write_text("dependencies: [python=3.12, pandas]")
    specs: list[EnvironmentSpec] = []

    def refuse(spec: EnvironmentSpec) -> None:
        specs.append(spec)
        raise ExecutionError("not built here")

    monkeypatch.setattr(launch, "prepare", refuse)

    def told(**arguments: str) -> list[str]:
        capsys.readouterr()
        with pytest.raises(ExecutionError, match="not built here"):
            projects.run(str(project), "track", **arguments)
        return [line for line in capsys.readouterr().err.splitlines() if "python_env.yaml" in line]

    lines = told()
    assert len(lines) == 1
    assert "python_env.yaml (Python 3.10) and conda.yaml (Python 3.12); python_env.yaml is used" in lines[0]
    assert "'conda_env: conda.yaml'" in lines[0]
    assert told(env_manager="conda") == [], "asked for, so not ambiguous"
    (project / "MLproject").write_text(MLPROJECT + "conda_env: conda.yaml\n")
    assert told() == []
    (project / "MLproject").write_text(MLPROJECT + "python_env: python_env.yaml\n")
    assert told() == []
    assert [spec.python for spec in specs] == ["3.10", "3.12", "3.12", "3.10"]


def test_conda_is_for_conda_files_and_docker_is_not_possible(project: Path) -> None:
    (project / "python_env.yaml").write_text("")
    with pytest.raises(InvalidParameterError, match="--env-manager uv"):
        projects.run(str(project), "track", env_manager="conda")
    (project / "MLproject").write_text("docker_env: {image: img}")
    with pytest.raises(ExecutionError, match="'img'.*--env-manager local"):
        projects.run(str(project), "track.py")
    assert all_runs() == []
    projects.run(str(project), "track.py", env_manager="local")


# -- interruption and background --------------------------------------------------------------------

WAIT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("started.tmp").write_text(str(child.pid))
os.rename("started.tmp", "started")
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie, whose parent is gone, waits for init only.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_run_in_the_background(project: Path) -> None:
    submitted = projects.run(str(project), "track", env_manager="local", synchronous=False)
    assert submitted.wait()
    assert submitted.get_status() == "FINISHED"
    assert slipstream.get_run(submitted.run_id).data.metrics == {"m": 1.5}
    failing = projects.run(str(project), "fail", env_manager="local", synchronous=False)
    assert not failing.wait()
    assert failing.get_status() == "FAILED"
    assert slipstream.get_run(failing.run_id).info.status == "FAILED"
    failing.cancel()


def test_cancelling_stops_the_command_and_its_children(project: Path) -> None:
    (project / "wait.py").write_text(WAIT)
    submitted = projects.run(str(project), "wait.py", env_manager="local", synchronous=False)
    wait_for((project / "started").exists)
    assert submitted.get_status() == "RUNNING"
    submitted.cancel()
    assert submitted.get_status() == "FAILED"
    assert slipstream.get_run(submitted.run_id).info.status == "KILLED"
    wait_for(lambda: not alive(int((project / "started").read_text())))


def test_cancelling_at_once_is_recorded(project: Path, tmp_path: Path) -> None:
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("wait.py", WAIT)
    temporary = tmp_path / "temporary"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPSTREAM_TMP_DIR", str(temporary))
        submitted = projects.run(str(archive), "wait.py", env_manager="local", synchronous=False)
        submitted.cancel()  # before the supervisor can have begun
    assert slipstream.get_run(submitted.run_id).info.status == "KILLED"
    assert list(temporary.iterdir()) == []


def test_sigterm_while_the_environment_is_built(project: Path, tracking: str, tmp_path: Path) -> None:
    (project / "requirements.txt").write_text("numpy")
    uv = tmp_path / "uv"
    uv.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/began.tmp; mv {tmp_path}/began.tmp {tmp_path}/began\nexec sleep 600\n"
    )
    uv.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in project.iterdir():
            opened.write(file, file.name)
    program = (
        "from slipstream import projects\nfrom slipstream.projects import environment\n"
        f"environment._uv_program = lambda: {str(uv)!r}\n"
        f"projects.run({str(archive)!r}, 'track')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "SLIPSTREAM_TRACKING_URI": tracking,
            "SLIPSTREAM_ENV_ROOT": str(tmp_path / "environments"),
            "TMPDIR": str(scratch),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((tmp_path / "began").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert [run.info.status for run in all_runs()] == ["KILLED"]
    assert list(scratch.iterdir()) == [], "neither the project nor what uv was given"
    assert not alive(int((tmp_path / "began").read_text()))


# Between "the environment is prepared" and "the command runs": each place a signal can fall into.
GAPS = {
    "before it is submitted": (
        "submit = local.LocalBackend.submit\n"
        "local.LocalBackend.submit = lambda *a, **k: (kill(), submit(*a, **k))[1]\n"
    ),
    "before signals are caught": "execute = local.execute\nlocal.execute = lambda job: (kill(), execute(job))[1]\n",
    "while they are being caught": (
        "get = signal.getsignal\n"
        "signal.getsignal = lambda number: (kill() if number == signal.SIGTERM else None, get(number))[1]\n"
    ),
    "before the command starts": "run = local._run\nlocal._run = lambda *a: (kill(), run(*a))[1]\n",
    "when it has just started": (
        "attach = local._Signals.attach\n"
        "local._Signals.attach = lambda self, process: (kill(), attach(self, process))[1]\n"
    ),
}


@pytest.mark.parametrize("gap", GAPS)
def test_sigterm_between_the_environment_and_the_command(project: Path, tracking: str, gap: str) -> None:
    (project / "wait.py").write_text(WAIT)
    program = (
        "import os, signal\nfrom slipstream import projects\nfrom slipstream.projects.backends import local\n"
        f"kill = lambda: os.kill(os.getpid(), signal.SIGTERM)\n{GAPS[gap]}"
        f"projects.run({str(project)!r}, 'wait.py', env_manager='local')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SLIPSTREAM_TRACKING_URI": tracking},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert "Traceback" not in done.stderr
    assert [run.info.status for run in all_runs()] == ["KILLED"]
    if (project / "started").exists():
        wait_for(lambda: not alive(int((project / "started").read_text())))


def test_sigterm_while_a_run_in_the_background_is_started_leaves_that_to_its_supervisor(
    project: Path, tracking: str
) -> None:
    program = (
        "import os, signal\nfrom slipstream import projects\nfrom slipstream.projects.backends import local\n"
        "begin = local.SupervisedRun.__init__\n"
        "def begin_and_kill(*arguments):\n"
        "    begin(*arguments)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "local.SupervisedRun.__init__ = begin_and_kill\n"
        f"projects.run({str(project)!r}, 'track', env_manager='local', synchronous=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SLIPSTREAM_TRACKING_URI": tracking},
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM
    wait_for(lambda: [run.info.status for run in all_runs()] == ["FINISHED"])


def test_sigterm_that_somebody_handles_does_not_pass_for_success() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))

    def prepare() -> None:
        with delayed_sigterm() as termination:
            os.kill(os.getpid(), signal.SIGTERM)
            assert came == []
            with termination.interrupting():
                pytest.fail("it is not begun any more")

    try:
        with pytest.raises(ExecutionError, match="KILLED"):
            prepare()
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(signal.SIGINT, "FAILED", -signal.SIGINT), (signal.SIGTERM, "KILLED", -signal.SIGTERM)],
)
@pytest.mark.parametrize("stubborn", [False, True])
def test_signals_reach_the_command_and_end_the_run(
    project: Path, tracking: str, number: int, status: str, code: int, stubborn: bool
) -> None:
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (project / "wait.py").write_text((ignore if stubborn else "") + WAIT)
    program = (
        "import sys\nfrom slipstream import projects\nfrom slipstream.projects.backends import local\n"
        "local.GRACE_SECONDS = 0.2\n"
        f"projects.run({str(project)!r}, 'wait.py', env_manager='local')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "SLIPSTREAM_TRACKING_URI": tracking},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((project / "started").exists)
        process.send_signal(number)
        assert process.wait(60) == code
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert [run.info.status for run in all_runs()] == [status]
    wait_for(lambda: not alive(int((project / "started").read_text())))


def test_a_job_that_ended_well_sends_no_signals(project: Path) -> None:
    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    projects.run(str(project), "track", env_manager="local")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert local.EndedRun("x", RunStatus.FINISHED).wait()
