"""`slipstream demo`, from training to the served model, as a user starts it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

for library in ("sklearn", "skops", "pandas", "matplotlib"):
    pytest.importorskip(library, exc_type=ImportError)

DEMO = [sys.executable, "-c", "from slipstream.cli.main import main; main()", "demo"]


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, "--epochs", "3", *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    mark = {"SLIPSTREAM_TEST_MARK": str(folder)}
    return {**os.environ, **mark, "SLIPSTREAM_HOME": str(folder / "home"), "TMPDIR": str(folder)}


def survivors(folder: Path) -> list[int]:
    """Return the processes that were started, at whatever remove, by a demo of this folder."""
    mark = f"SLIPSTREAM_TEST_MARK={folder}".encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def accuracies(output: str) -> tuple[str, str]:
    served = re.search(r"accuracy of the served model: +([\d.]+)", output)
    logged = re.search(r"accuracy logged in training: +([\d.]+)", output)
    assert served is not None
    assert logged is not None
    return served[1], logged[1]


def test_the_whole_tour_twice(tmp_path: Path) -> None:
    for version in ("1", "2"):
        done = demo(tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        served, logged = accuracies(done.stdout)
        assert served == logged
        assert 0.5 < float(served) <= 1
        assert f"digits version {version} and gave it the alias @champion" in done.stdout
        assert "Sent 360 held-out images" in done.stdout
        assert survivors(tmp_path) == []
        assert not list(tmp_path.glob("slipstream-*/")) or {
            each.name for each in tmp_path.glob("slipstream-*/")
        } == {"slipstream-artifacts"}

    import slipstream

    client = slipstream.SlipstreamClient(f"sqlite:///{tmp_path}/slipstream.db")
    experiment = client.get_experiment_by_name("digits-demo")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "params.model != ''")
    assert sorted(run.data.params["model"] for run in runs) == sorted(["logistic", "mlp", "boosting"] * 2)
    for run in runs:
        for metric in ("train_loss", "validation_loss", "validation_accuracy"):
            points = client.get_metric_history(run.info.run_id, metric)
            assert [point.step for point in points] == [0, 1, 2]
        losses = [point.value for point in client.get_metric_history(run.info.run_id, "train_loss")]
        assert losses[-1] < losses[0]
        assert {each.dataset.name for each in run.inputs.dataset_inputs} == {"digits"}
        assert all(each.dataset.digest for each in run.inputs.dataset_inputs)
        names = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"confusion_matrix.png", "report.txt", "held_out.csv"} <= names
        assert run.data.tags["mlflow.source.type"] == "PROJECT"
        assert "mlflow.parentRunId" in run.data.tags
    champion = client.get_model_version_by_alias("digits", "champion")
    assert champion.version == "2"


def test_a_taken_port_is_one_line_and_trains_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = demo(tmp_path, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.startswith("error: Port ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "slipstream.db").exists()


def test_missing_libraries_are_one_line(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom importlib import util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'sklearn' else find(name, *rest)\n"
        "from slipstream.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "demo"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'slipstream[demo]'" in done.stderr


def parent_of(pid: int) -> int:
    """Return the process that started another."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def test_kept_servers_answer_and_can_be_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pids: list[int] = []
    try:
        done = demo(tmp_path, "--keep", "--data", str(data))
        assert done.returncode == 0, done.stderr
        stop = re.search(r"kill ([\d ]+)", done.stdout)
        assert stop is not None
        pids = [int(text) for text in stop[1].split()]
        others = set(survivors(tmp_path)) - set(pids)
        assert {parent_of(pid) for pid in others} <= set(pids)  # the scoring server's own worker
        served, logged = accuracies(done.stdout)
        assert served == logged
        urls = re.findall(r"server:  (http://[\d.]+:\d+)", done.stdout)
        assert len(urls) == 2
        for url in urls:
            with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
                assert answer.status == 200
        assert (data / "slipstream.db").is_file()
        assert not (tmp_path / "slipstream.db").exists()
        assert not (tmp_path / "slipstream-artifacts").exists()
    finally:
        for pid in pids or survivors(tmp_path):
            os.kill(pid, signal.SIGTERM)
    wait_for_silence(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        [*DEMO, "--epochs", "100000"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Running "):
                break
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) != 0
        assert "lifecycle.py" not in rest, "no traceback of the demo itself"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    wait_for_silence(tmp_path)


def wait_for_silence(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while survivors(folder):
        assert time.monotonic() < deadline, f"still running: {survivors(folder)}"
        time.sleep(0.05)


def test_in_a_folder_with_spaces_and_with_an_address_set_what_is_printed_can_be_pasted(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "my folder's demo"
    folder.mkdir()
    done = subprocess.run(
        [*DEMO, "--epochs", "1"],
        cwd=folder,
        env={**environment(folder), "SLIPSTREAM_TRACKING_URI": "sqlite:///my runs.db"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert survivors(folder) == []
    assert (folder / "my runs.db").is_file()
    assert not (folder / "slipstream.db").exists()
    pictures = re.search(r"the pictures: +(.*)", done.stdout)
    assert pictures is not None
    pasted = subprocess.run(
        ["/bin/sh", "-c", pictures[1]],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "SLIPSTREAM_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "confusion_matrix.png" in pasted.stdout, pasted.stderr
