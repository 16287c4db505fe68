"""Programs that die, on a server of their own: how their runs end, what is kept of what they print, what their user sees."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from conftest import NOTHING_BESIDE_RUNS
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all
from slipstream.client.console.following import read_console
from slipstream.client.liveness.folder import ContextNote, read_note, save_note
from slipstream.client.liveness.left import deliver_left
from slipstream.entities import Run

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 40.0
BEGIN = """
import os, signal, sys, time
import slipstream
slipstream.set_tracking_uri(os.environ["SERVER"])
run = slipstream.start_run()
print("RUN", run.info.run_id, flush=True)
"""


class Programs:
    """Starts programs that log to one server."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.client = SlipstreamClient(server.url)
        self.environment = {k: v for k, v in os.environ.items() if k not in NOTHING_BESIDE_RUNS}
        self.environment |= {
            "SERVER": server.url,
            "XDG_DATA_HOME": str(folder / "data"),
            "SLIPSTREAM_CAPTURE": "none",
            "SLIPSTREAM_HEARTBEAT_SECONDS": "0.5",
            "SLIPSTREAM_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "SLIPSTREAM_DELIVERY_TIMEOUT": "10",
        }

    def wait_for_beat(self) -> None:
        """Wait until the server has taken a heartbeat: before that it cannot miss any."""
        until = time.monotonic() + 20
        taken = re.compile(r'slipstream_requests_total\{[^}]*heartbeats"[^}]*\} [1-9]')
        while time.monotonic() < until:
            with urllib.request.urlopen(f"{self.server.url}/metrics") as answer:  # ours
                if taken.search(answer.read().decode()):
                    return
            time.sleep(0.05)
        raise AssertionError("no heartbeat came")

    def start(self, code: str, **options: object) -> subprocess.Popen[str]:
        environment = {**self.environment, **options.pop("env", {})}  # type: ignore[dict-item]
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + code],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options},
            text=True,
            env=environment,
            cwd=self.folder,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def only_run(self) -> Run | None:
        runs = self.client.search_runs(["0"])
        return runs[0] if runs else None

    def wait_for(self, condition: Callable[[Run], object]) -> Run:
        until = time.monotonic() + PATIENCE_SECONDS
        run = None
        while time.monotonic() < until:
            run = self.only_run()
            if run is not None and condition(run):
                return run
            time.sleep(0.05)
        raise AssertionError(f"it did not come to that: {run}")

    def wait_for_end(self) -> Run:
        return self.wait_for(
            lambda run: run.info.status != "RUNNING" and "slipstream.end.reason" in run.data.tags
        )

    def console(self, run: Run) -> str:
        os.environ["SLIPSTREAM_TRACKING_URI"] = self.server.url
        try:
            return "".join(read_console(run.info.run_id))
        finally:
            del os.environ["SLIPSTREAM_TRACKING_URI"]

    def wait_until_nothing_is_left(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while list((self.folder / "data").glob("slipstream/processes/*/*")):
            assert time.monotonic() < until, "something is left"
            time.sleep(0.05)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    monkeypatch.setenv("SLIPSTREAM_LOST_AFTER", "3")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    server = ServerProcess(tmp_path, "--durability", "normal")
    programs = Programs(server, tmp_path)
    yield programs
    programs.close()
    close_all()
    if server.process.poll() is None:
        server.stop()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if word in line:
            return text
    raise AssertionError(f"it ended before it said {word}: {text}")


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGKILL, "KILLED", "killed (SIGKILL)"),
        (signal.SIGTERM, "KILLED", "told to end (SIGTERM)"),
        (signal.SIGSEGV, "FAILED", "crash"),
    ],
)
def test_a_signal_ends_the_run_with_its_name_and_the_last_lines(
    programs: Programs, number: signal.Signals, status: str, words: str
) -> None:
    process = programs.start(
        "print('step 1', flush=True)\nos.write(2, b'from C\\n')\nprint('go', flush=True)\ntime.sleep(60)"
    )
    read_until(process, "go")

    process.send_signal(number)
    run = programs.wait_for_end()

    assert process.wait() == -number
    assert run.info.status == status
    tags = run.data.tags
    assert words in tags["slipstream.end.reason"]
    assert tags["slipstream.end.signal"] == number.name
    assert tags["slipstream.end.noticed_by"] == "watcher"
    assert tags["slipstream.end.last_lines"].endswith("step 1\nfrom C\ngo")
    programs.wait_until_nothing_is_left()
    assert programs.console(run).endswith("step 1\nfrom C\ngo\n")


def test_an_exit_without_an_end_is_told_with_its_code(programs: Programs) -> None:
    process = programs.start("os._exit(3)")

    run = programs.wait_for_end()

    assert process.wait() == 3
    assert (run.info.status, run.data.tags["slipstream.end.exit_code"]) == ("FAILED", "3")


def test_a_program_does_not_wait_at_its_end_for_a_server_that_says_nothing(programs: Programs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = programs.start(
            "slipstream.log_metric('m', 1.0)",
            env={
                "SERVER": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "SLIPSTREAM_CAPTURE": "all",
                "SLIPSTREAM_PATIENCE": "0.5",
                "SLIPSTREAM_DELIVERY_TIMEOUT": "600",
            },
        )
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def test_an_exception_is_the_reason(programs: Programs) -> None:
    process = programs.start("raise ValueError('no such layer')")
    output, _ = process.communicate()

    run = programs.wait_for_end()

    assert run.info.status == "FAILED"
    assert run.data.tags["slipstream.end.reason"] == "ValueError: no such layer"
    assert output.rstrip().endswith("ValueError: no such layer")
    programs.wait_until_nothing_is_left()
    assert "Traceback" in programs.console(run)


@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/memory", os.W_OK),
    reason="needs a cgroup of one's own, version 1, to be short of memory in",
)
def test_out_of_memory_is_told(programs: Programs) -> None:
    group = Path("/sys/fs/cgroup/memory") / f"slipstream-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text("120M")
        code = "held = []\nprint('eating', flush=True)\nwhile True: held.append(bytearray(1 << 23))"
        process = programs.start(
            code, preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
        )
        run = programs.wait_for_end()
        assert process.wait() == -signal.SIGKILL
        assert run.info.status == "FAILED"
        assert "Out of memory" in run.data.tags["slipstream.end.reason"]
        lines = run.data.tags["slipstream.end.last_lines"].splitlines()
        assert "eating" in lines, lines
        programs.wait_until_nothing_is_left()
    finally:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError):  # busy as long as a process is in it
                group.rmdir()
                break
            time.sleep(0.1)


def test_without_a_watcher_the_server_notices(programs: Programs) -> None:
    process = programs.start(
        "time.sleep(60)", env={"SLIPSTREAM_WATCHER": "false", "SLIPSTREAM_CONSOLE": "false"}
    )
    read_until(process, "RUN")
    programs.wait_for_beat()
    process.kill()

    run = programs.wait_for_end()

    assert run.data.tags["slipstream.end.noticed_by"] == "server"
    assert run.info.status == "FAILED"


def test_a_process_that_was_stopped_comes_back_to_life(programs: Programs) -> None:
    process = programs.start("time.sleep(60)")
    read_until(process, "RUN")
    programs.wait_for_beat()
    process.send_signal(signal.SIGSTOP)
    programs.wait_for_end()

    process.send_signal(signal.SIGCONT)

    programs.wait_for(lambda run: run.info.status == "RUNNING")
    process.kill()
    run = programs.wait_for_end()
    assert run.info.status == "KILLED"


def test_a_run_without_signs_of_life_is_never_taken_for_dead(programs: Programs) -> None:
    run_id = programs.client.create_run("0").info.run_id  # as stock clients do
    process = programs.start(
        "time.sleep(60)", env={"SLIPSTREAM_WATCHER": "false", "SLIPSTREAM_CONSOLE": "false"}
    )
    read_until(process, "RUN")
    programs.wait_for_beat()
    process.kill()
    programs.wait_for_end()  # the other one

    assert programs.client.get_run(run_id).info.status == "RUNNING"


def test_an_end_while_the_server_is_away_is_told_by_the_next_start(programs: Programs) -> None:
    process = programs.start("print('last words', flush=True)\ntime.sleep(60)")
    read_until(process, "last words")
    port = programs.server.url.rpartition(":")[2]
    programs.server.kill()
    process.kill()
    process.wait()

    server = ServerProcess(programs.folder, "--durability", "normal", "--port", port)
    try:
        # Either the program that the watcher started, which goes on trying, or the next one on this machine.
        until = time.monotonic() + PATIENCE_SECONDS
        while list((programs.folder / "data").glob("slipstream/processes/*/*")) and time.monotonic() < until:
            deliver_left(server.url)
            time.sleep(0.2)
        run = programs.wait_for_end()
        assert "SIGKILL" in run.data.tags["slipstream.end.reason"]
        assert programs.console(run).endswith("last words\n")
    finally:
        server.stop()


def test_an_end_that_only_the_disk_knows_is_told_by_the_next_start(programs: Programs) -> None:
    process = programs.start(
        "time.sleep(60)", env={"SLIPSTREAM_CONSOLE": "false", "SLIPSTREAM_HEARTBEAT_SECONDS": "0"}
    )
    read_until(process, "RUN")
    (note,) = (programs.folder / "data").glob("slipstream/processes/*/*/note.json")
    companion = _companion_of(process.pid)
    os.kill(companion, signal.SIGKILL)
    process.kill()
    process.wait()
    assert note.exists()

    assert deliver_left(programs.server.url) == 1

    run = programs.wait_for_end()
    assert run.data.tags["slipstream.end.noticed_by"] == "next start"
    assert not note.exists()


def test_output_goes_on_when_the_program_beside_it_is_killed(programs: Programs) -> None:
    code = "sys.stdin.readline()\nfor i in range(20000): print('line', i)\nos.system('echo child')\nprint('end', flush=True)"
    process = programs.start(code, stdin=subprocess.PIPE)
    read_until(process, "RUN")
    companion = _companion_of(process.pid)
    os.kill(companion, signal.SIGKILL)
    _wait_until_dead(companion)  # what it has taken and not passed on would go with it

    output, _ = process.communicate("go\n", timeout=PATIENCE_SECONDS)

    assert process.returncode == 0
    lines = output.splitlines()
    assert [line for line in lines if line.startswith("line")] == [f"line {i}" for i in range(20000)]
    assert lines[-2:] == ["child", "end"]


def test_output_is_the_same_byte_by_byte(programs: Programs) -> None:
    code = (
        "for i in range(3000):\n"
        "    os.write(1 + i % 2, b'%d\\n' % i)\n"
        "if os.fork() == 0:\n"
        "    time.sleep(0.3); os.write(1, b'a child that outlives it\\n'); os._exit(0)\n"
    )
    process = programs.start(code)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    lines = output.splitlines()
    assert lines[1:3001] == [str(i) for i in range(3000)]  # both streams, in their order
    assert lines[-1] == "a child that outlives it"
    assert process.returncode == 0


def test_a_reader_that_goes_away_is_noticed_as_ever(programs: Programs) -> None:
    process = programs.start("for i in range(10**9): print('line', i, flush=True)", stderr=subprocess.PIPE)
    read_until(process, "line 3")
    assert process.stdout is not None
    process.stdout.close()

    process.wait(PATIENCE_SECONDS)

    assert process.stderr is not None
    assert "BrokenPipeError" in process.stderr.read()
    process.stderr.close()


def test_a_terminal_stays_a_terminal_and_is_copied(programs: Programs) -> None:
    master, slave = pty.openpty()
    code = (
        "print('tty', sys.stdout.isatty(), os.isatty(1), type(sys.stdout).__name__)\nprint(input('name? '))"
    )
    process = programs.start(code, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    answered = False
    while select.select([master], [], [], PATIENCE_SECONDS)[0]:
        try:
            data = os.read(master, 4096)
        except OSError:  # all of the other side is closed
            break
        shown += data
        if b"name? " in shown and not answered:
            answered = True
            os.write(master, b"Ada\n")
    os.close(master)

    assert process.wait() == 0
    assert b"tty True True TextIOWrapper" in shown
    run = programs.wait_for(lambda run: run.info.status == "FINISHED")
    programs.wait_until_nothing_is_left()
    assert "tty True True TextIOWrapper\n" in programs.console(run)
    assert "Ada" in programs.console(run)


def test_a_file_of_the_users_own_is_read_and_not_touched(programs: Programs) -> None:
    path = programs.folder / "out.log"
    with path.open("w") as file:
        file.write("before\n")
        file.flush()
        process = programs.start("print('hello')", stdout=file, stderr=file)
        assert process.wait() == 0
    assert path.read_text().splitlines()[0] == "before"
    assert path.read_text().endswith("hello\n")

    run = programs.wait_for(lambda run: run.info.status == "FINISHED")
    programs.wait_until_nothing_is_left()
    text = programs.console(run)
    assert "before" not in text
    assert text.endswith("hello\n")


def test_what_a_run_prints_can_be_read_while_it_goes(programs: Programs) -> None:
    process = programs.start("print('working', flush=True)\nsys.stdin.readline()", stdin=subprocess.PIPE)
    run_id = read_until(process, "working").split()[1]
    store = programs.client.connection.store

    until = time.monotonic() + PATIENCE_SECONDS
    while "working" not in "".join(each.text for each in store.find_console(run_id)):
        assert time.monotonic() < until
        time.sleep(0.1)

    assert programs.client.get_run(run_id).info.status == "RUNNING"
    process.communicate("\n")
    programs.wait_until_nothing_is_left()
    assert store.find_console(run_id) == []  # it is among the artifacts


def test_threads_and_forks_end_as_ever(programs: Programs) -> None:
    code = (
        "import threading, multiprocessing\n"
        "stop = threading.Event()\n"
        "def chatter():\n"
        "    while not stop.is_set(): print('x' * 100)\n"
        "threads = [threading.Thread(target=chatter) for _ in range(4)]\n"
        "for each in threads: each.start()\n"
        "for _ in range(10):\n"
        "    pid = os.fork()\n"
        "    if not pid: print('child'); sys.stdout.flush(); os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "stop.set()\n"
        "for each in threads: each.join()\n"
        "try: os.wait(); print('had a child')\n"
        "except ChildProcessError: print('no child is left')\n"
        "print('done')\n"
    )
    process = programs.start(code, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, output[-2000:]
    assert output.rstrip().endswith("no child is left\ndone")
    assert programs.wait_for(lambda run: run.info.status == "FINISHED")


def test_the_context_is_found_out_beside_the_program(programs: Programs) -> None:
    """The program starts in a repository where git hangs, with modules that have the names of Python's own."""
    code = programs.folder / "code"
    code.mkdir()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    (code / "train.py").write_text(BEGIN + "print('started', flush=True)\nsys.stdin.readline()")
    for argv in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *argv], cwd=code, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=code, check=True, capture_output=True, text=True)
    hanging = programs.folder / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    (code / "shlex.py").write_text("raise SystemExit('a module of the user')\n")
    environment = {
        "SLIPSTREAM_CAPTURE": "command,host,packages",
        "PATH": f"{hanging.parent}{os.pathsep}{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        [sys.executable, "train.py", "--api-key=hunter2"],
        cwd=code,
        env={**programs.environment, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    programs.started.append(process)
    read_until(process, "started")
    tags = programs.wait_for(lambda run: True).data.tags
    assert tags["mlflow.source.git.commit"] == commit.stdout.strip()
    assert tags["mlflow.source.name"] == "train.py"
    programs.wait_for(lambda run: "slipstream.command" in run.data.tags)

    process.communicate("end\n")

    run = programs.wait_for(lambda run: run.info.status == "FINISHED")
    assert process.returncode == 0
    assert run.data.tags["slipstream.command"].endswith("train.py '--api-key=<masked>'")


def test_a_killed_program_is_told_where_it_came_from(programs: Programs) -> None:
    process = programs.start(
        "time.sleep(60)", env={"SLIPSTREAM_WATCHER": "false", "SLIPSTREAM_CONSOLE": "false"}
    )
    read_until(process, "RUN")
    process.kill()
    process.wait()
    # What the process beside it leaves, had it been asked, and the program been killed before it heard.
    (folder,) = (programs.folder / "data").glob("slipstream/processes/*/*")
    note = read_note(folder)
    assert note is not None
    note.runs[0].context = True
    save_note(folder, note)
    context = ContextNote(tags={"slipstream.host": "m1"}, files=["context/host.json"], is_last=True)
    (folder / "context.json").write_bytes(msgspec.json.encode(context))
    (folder / "files" / "context-host.json").write_text("{}")

    assert deliver_left(programs.server.url) == 1

    run = programs.wait_for_end()
    assert run.data.tags["slipstream.host"] == "m1"
    assert [each.path for each in programs.client.list_artifacts(run.info.run_id, "context")] == [
        "context/host.json"
    ]


def test_a_program_that_is_gone_at_once_has_its_context(programs: Programs) -> None:
    process = programs.start("os._exit(3)", env={"SLIPSTREAM_CAPTURE": "host,packages"})

    assert process.wait(PATIENCE_SECONDS) == 3
    run = programs.wait_for_end()

    programs.wait_until_nothing_is_left()
    paths = {each.path for each in programs.client.list_artifacts(run.info.run_id, "context")}
    assert paths == {"context/host.json", "context/requirements.lock"}


def test_what_each_life_of_a_run_printed_is_kept(programs: Programs) -> None:
    code = (
        "print('first')\nslipstream.end_run()\nprint('between')\n"
        "with slipstream.start_run(run.info.run_id): print('second')\n"
    )
    assert programs.start(code).wait(PATIENCE_SECONDS) == 0
    programs.wait_until_nothing_is_left()
    run = programs.wait_for(lambda run: run.info.status == "FINISHED")
    again = programs.start("print('third')", env={"SLIPSTREAM_RUN_ID": run.info.run_id})
    assert again.wait(PATIENCE_SECONDS) == 0
    programs.wait_until_nothing_is_left()

    text = programs.console(run)

    assert [line for line in text.splitlines() if not line.startswith("RUN")] == ["first", "second", "third"]
    assert len(programs.client.list_artifacts(run.info.run_id, "logs")) == 3


def test_a_program_that_sends_its_output_elsewhere_keeps_it_there(programs: Programs) -> None:
    code = (
        "import atexit\natexit.register(print, 'said last')\nprint('before', flush=True)\n"
        "os.dup2(os.open('elsewhere', os.O_WRONLY | os.O_CREAT), 1)\nprint('behind')\nslipstream.end_run()\n"
        "slipstream.start_run(); print('more')\n"
    )
    process = programs.start(code, stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[1:] == ["before"]
    lines = (programs.folder / "elsewhere").read_text().splitlines()
    assert sorted(lines) == ["behind", "more", "said last"]


def test_a_program_that_closes_all_files_hears_nothing_of_what_is_beside_it(programs: Programs) -> None:
    process = programs.start("os.closerange(3, 256)\n", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert len(output.splitlines()) == 1
    assert "slipstream/client/liveness" not in errors
    assert "slipstream/client/context" not in errors


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_a_program_without_streams_runs(programs: Programs, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    code = (
        "from pathlib import Path\nos.system('echo child')\nslipstream.log_metric('loss', 1)\nslipstream.end_run()\n"
        "Path('done').touch()\n"
    )
    begin = BEGIN.replace("print(", "if sys.stdout is not None: print(")
    process = subprocess.Popen(
        [sys.executable, "-c", begin + code],
        env=programs.environment,
        cwd=programs.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=close,  # noqa: PLW1509  # no other thread holds a lock that this needs
    )
    programs.started.append(process)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0
    assert (programs.folder / "done").exists(), errors
    if 1 not in closed:
        assert output.splitlines()[1:] == ["child"]
    run = programs.wait_for(lambda run: run.info.status == "FINISHED")
    assert run.data.metrics == {"loss": 1.0}


def _wait_until_dead(pid: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "ZX":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} goes on")


def _companion_of(pid: int) -> int:
    """Return the program beside a process, once it runs."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                text = path.read_bytes().decode(errors="replace")
                parent = path.with_name("stat").read_text().rpartition(") ")[2].split()[1]
                if "companion.py" in text and f'"pid": {pid},' in text and parent != str(pid):
                    return int(path.parent.name)
        time.sleep(0.02)
    raise AssertionError("it has no companion")
