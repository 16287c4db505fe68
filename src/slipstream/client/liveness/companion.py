"""The small program beside a training process: it passes on what the process prints, keeps it, and sees how the process ends.

It runs as a process of its own, without slipstream and without site-packages (about 9 MB), since it must go on when the
training process is killed, and must pass on output while that holds Python's lock. It imports nothing of slipstream but
`segments.py`, by its path.

Arguments: a JSON object with the fields of `Orders`. Standard input carries lines of commands, standard output answers.

It is no child of the training process, which may wait for its children: `setsid` has started it, or it forks and the first of
the two ends.
"""

import _thread
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself costs a megabyte
    from typing import Any

READ_BYTES = 1 << 16
_DRAINED_SECONDS = 3.0
_POLL_SECONDS = 1.0
_PIDFD_INFO_EXIT = 8
_PIDFD_GET_INFO = (3 << 30) | (64 << 16) | (0xFF << 8) | 11


class Orders:
    """What it is told."""

    def __init__(self, fields: "dict[str, object]") -> None:
        self.pid: int = fields["pid"]  # type: ignore[assignment]
        """The training process."""
        self.sources: list[tuple[int, int]] = [tuple(each) for each in fields["sources"]]  # type: ignore[misc]
        """(where to read, where to pass it on; -1 keeps it only), as numbers of open files."""
        self.log: str | None = fields["log"]  # type: ignore[assignment]
        self.end_file: str = fields["end_file"]  # type: ignore[assignment]
        """Where to write how the process ended."""
        self.report: list[str] = fields["report"]  # type: ignore[assignment]
        """What to start then: program and arguments."""
        self.segments: str = fields["segments"]  # type: ignore[assignment]


class Source:
    """One stream of the process."""

    def __init__(self, read: int, write: int, log: object) -> None:
        self.read = read
        self.write = write
        self.busy = False
        self.done = False
        self._log = log

    def pump(self, lock: "_thread.LockType") -> None:
        try:
            while True:
                self.busy = False
                data = os.read(self.read, READ_BYTES)
                self.busy = True
                if not data:
                    break
                with lock:
                    self._log.append(data)  # type: ignore[attr-defined]
                if self.write >= 0:
                    _write_all(self.write, data)
        except OSError:
            # Nobody reads any more. The process must find that out by itself, as it would without us: it is told, and takes
            # its streams back.
            _answer("broken")
        finally:
            self.done = True
            self.busy = False
            os.close(self.read)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(handle, view) :]
        except BlockingIOError:  # whoever shares the stream has told it not to wait
            select.select([], [handle], [], _POLL_SECONDS)


def main() -> None:
    orders = Orders(json.loads(sys.argv[1]))
    pidfd = _open_pidfd(orders.pid)
    if os.getsid(0) != os.getpid():  # it has not been started by `setsid`
        if os.fork():
            os._exit(0)
        os.setsid()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)  # what ends the process must not end what looks after it
    os.chdir("/")
    before = _oom_kills(orders.pid)
    sources: list[Source] = []
    if orders.log is not None:
        sys.path.insert(0, os.path.dirname(orders.segments))
        segments: Any = __import__("segments")
        del sys.path[0]
        log = segments.SegmentWriter(orders.log)
        lock = _thread.allocate_lock()
        for read, write in orders.sources:
            source = Source(read, write, log)
            sources.append(source)
            _thread.start_new_thread(source.pump, (lock,))
    said_bye = _serve(orders, pidfd, sources)
    if not said_bye:
        _drain(sources, _DRAINED_SECONDS)
        end = _how_it_ended(orders.pid, pidfd, before)
        _write_end(orders.end_file, end)
        _start_report(orders.report)
    while not all(each.done for each in sources):  # children of the process may print still
        time.sleep(0.2)


def _serve(orders: Orders, pidfd: int, sources: "list[Source]") -> bool:
    """Answer commands until the process says good bye or is gone; tell which."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    if pidfd >= 0:
        poll.register(pidfd, select.POLLIN)
    _answer("ready")
    waiting = b""
    listening = True
    while True:
        ready = dict(poll.poll(_POLL_SECONDS * 1000 if pidfd < 0 else None))
        if listening and 0 in ready:
            data = os.read(0, 4096)
            if not data:  # it is gone, or has closed it
                listening = False
                poll.unregister(0)
            waiting += data
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                if line == b"bye":
                    _drain(sources, _DRAINED_SECONDS)
                    _answer("bye")
                    return True
                if line.startswith(b"sync "):
                    _drain(sources, _DRAINED_SECONDS)
                    _answer(line.decode())
        if pidfd >= 0:
            if pidfd in ready and 0 not in ready:  # what it said last comes first
                return False
            if pidfd in ready and not listening:
                return False
        elif not _is_alive(orders.pid):
            return False


def _drain(sources: "list[Source]", seconds: float) -> None:
    """Wait until all that was printed is passed on and kept."""
    until = time.monotonic() + seconds
    calm = 0
    while calm < 2 and time.monotonic() < until:
        quiet = True
        for each in sources:
            if each.done:
                continue
            try:
                quiet = quiet and not each.busy and not select.select([each.read], [], [], 0)[0]
            except (OSError, ValueError):  # closed at this moment
                continue
        calm = calm + 1 if quiet else 0
        time.sleep(0.001 if quiet else 0.003)


def _answer(text: str) -> None:
    try:
        os.write(1, text.encode() + b"\n")
    except OSError:
        pass  # who asked is gone


def _open_pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        return -1


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""


def _how_it_ended(pid: int, pidfd: int, oom_before: int) -> "dict[str, object]":
    code = _exit_code(pid, pidfd)
    end: dict[str, object] = {"time": time.time_ns() // 1_000_000}
    if code is not None:
        end["signal"] = code & 0x7F
        end["code"] = code >> 8
    after = 0
    for _ in range(20):  # the kernel counts a little later
        after = _oom_kills(os.getpid())
        if after > oom_before or end.get("signal", 9) != 9:
            break
        time.sleep(0.01)
    end["oom"] = after > oom_before
    return end


def _exit_code(pid: int, pidfd: int) -> "int | None":
    """Return the status as `wait` gives it. Linux tells others than the parent since 6.15; before, only until it is asked."""
    if pidfd >= 0:
        import fcntl
        import struct

        # mask, cgroup; pid, tgid, ppid, eight ids, exit code
        buffer = bytearray(struct.pack("QQ11Ii", _PIDFD_INFO_EXIT, 0, *([0] * 11), 0))
        for _ in range(20):
            try:
                fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
            except OSError:
                break
            found = struct.unpack("QQ11Ii", bytes(buffer))
            if found[0] & _PIDFD_INFO_EXIT:
                return found[-1]
            code = _code_of_zombie(pid)
            if code is not None:
                return code
            buffer[0:8] = struct.pack("Q", _PIDFD_INFO_EXIT)
            time.sleep(0.01)
    return _code_of_zombie(pid)


def _code_of_zombie(pid: int) -> "int | None":
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    # It is the 52nd field, and 0 for those who may not see it.
    return int(fields[49]) if fields[0] == b"Z" and len(fields) > 49 and int(fields[49]) else None


def _oom_kills(pid: int) -> int:
    """Return how many processes the kernel has killed for want of memory: in the process's group, and on the machine."""
    total = 0
    for path, name in _oom_files(pid):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                for line in file:
                    key, _, value = line.partition(" ")
                    if key == name:
                        total += int(value)
        except (OSError, ValueError):
            continue
    return total


def _oom_files(pid: int) -> "list[tuple[str, str]]":
    files = [("/proc/vmstat", "oom_kill")]
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as file:
            for line in file:
                number, controllers, path = line.rstrip("\n").split(":", 2)
                if number == "0":
                    files.append((f"/sys/fs/cgroup{path}/memory.events", "oom_kill"))
                elif "memory" in controllers.split(","):
                    files.append((f"/sys/fs/cgroup/memory{path}/memory.oom_control", "oom_kill"))
    except (OSError, ValueError):
        pass
    return files


def _write_end(path: str, end: "dict[str, object]") -> None:
    try:
        temporary = f"{path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(end, file)
        os.replace(temporary, path)
    except OSError:
        pass  # a full disk; the process is gone all the same, and the next start finds that


def _start_report(argv: "list[str]") -> None:
    if not argv:
        return
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
    try:
        os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    except OSError:
        pass  # the next start reports it


if __name__ == "__main__":
    main()
