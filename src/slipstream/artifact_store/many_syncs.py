"""Put several files onto the disk at once.

The waits for a disk add up one after another, and are hardly longer than one when they happen together, since a disk that
empties its cache does so for all. Linux takes a list of files in one call (its native asynchronous I/O, whose `IOCB_CMD_FDSYNC`
does what `fdatasync` does, in threads of the kernel). Elsewhere, and where that is not allowed, threads of our own do it.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

_FSYNC, _FDSYNC = 2, 3
_REQUEST = struct.Struct("<QIiHhIQQqQII")
"""`struct iocb`: a number of ours, two flags, the operation, its priority, the file, and what only reads and writes have."""
_EVENT = struct.Struct("<QQqq")
"""`struct io_event`: our number, the request's place, and its outcome."""
_THREADS = 16

_sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Put a file's content onto the disk and what finds it again, such as the size; not its times."""


class _Calls(NamedTuple):
    """Numbers of the system's calls, for which C libraries have no functions."""

    setup: int
    destroy: int
    submit: int
    get_events: int


_CALLS = {"x86_64": _Calls(206, 207, 209, 208), "aarch64": _Calls(0, 1, 2, 4)}


class ManySyncs:
    """Syncs lists of files, for one thread.

    Args:
        at_once: the longest list.
    """

    def __init__(self, at_once: int) -> None:
        self._kernel = _Kernel.open(at_once)
        self._threads = ThreadPoolExecutor(min(_THREADS, at_once), thread_name_prefix="slipstream-sync")

    def run(self, files: Sequence[int], folders: Sequence[int]) -> list[OSError | None]:
        """Sync the contents of open files and the names in open folders; return why each failed, in this order."""
        wanted = [*((handle, _FDSYNC) for handle in files), *((handle, _FSYNC) for handle in folders)]
        if len(wanted) <= 1:
            return [_alone(one) for one in wanted]
        found = [None] * len(wanted) if self._kernel is None else self._kernel.run(wanted)
        left = [one for one, result in zip(wanted, found, strict=True) if result is None]
        others = iter(self._threads.map(_alone, left))
        return [next(others) if result is None else _error(result) for result in found]

    def close(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
        self._threads.shutdown()


class _Kernel:
    """Linux's asynchronous I/O, through its bare calls."""

    def __init__(self, calls: _Calls, call: Callable[..., int], context: ctypes.c_ulong) -> None:
        self._calls = calls
        self._call = call
        self._context = context

    @classmethod
    def open(cls, at_once: int) -> "_Kernel | None":
        """Return what takes lists of this length, or `None` where there is no such thing, or it is not allowed."""
        calls = _CALLS.get(platform.machine())
        if not sys.platform.startswith("linux") or calls is None or sys.byteorder != "little":
            return None
        if ctypes.sizeof(ctypes.c_void_p) != 8:  # programs of 32 bits have other numbers
            return None
        call = ctypes.CDLL(None, use_errno=True).syscall
        call.restype = ctypes.c_long
        context = ctypes.c_ulong(0)
        if call(ctypes.c_long(calls.setup), ctypes.c_uint(at_once), ctypes.byref(context)) != 0:
            return None
        return cls(calls, call, context)

    def run(self, wanted: Sequence[tuple[int, int]]) -> list[int | None]:
        """Return the outcome of each: 0, a negative error number, or nothing for those that were not taken."""
        count = len(wanted)
        packed = b"".join(
            _REQUEST.pack(number, 0, 0, operation, 0, handle, 0, 0, 0, 0, 0, 0)
            for number, (handle, operation) in enumerate(wanted)
        )
        requests = ctypes.create_string_buffer(packed, len(packed))
        start = ctypes.addressof(requests)
        places = (ctypes.c_void_p * count)(*range(start, start + len(packed), _REQUEST.size))
        taken = self._call(ctypes.c_long(self._calls.submit), self._context, ctypes.c_long(count), places)
        results: list[int | None] = [None] * count
        events = ctypes.create_string_buffer(_EVENT.size * count)
        left = max(taken, 0)
        while left:
            # Waits for all of them: a handle must not be closed before.
            got = self._call(
                ctypes.c_long(self._calls.get_events),
                self._context,
                ctypes.c_long(left),
                ctypes.c_long(left),
                events,
                None,
            )
            if got < 0:
                if ctypes.get_errno() == errno.EINTR:
                    continue
                break  # it cannot say what became of them: they are done again, one by one
            for number, _, result, _ in _EVENT.iter_unpack(events.raw[: got * _EVENT.size]):
                results[number] = result
            left -= got
        return results

    def close(self) -> None:
        self._call(ctypes.c_long(self._calls.destroy), self._context)


def _alone(wanted: tuple[int, int]) -> OSError | None:
    handle, operation = wanted
    try:
        if operation == _FDSYNC:
            _sync_data(handle)
        else:
            os.fsync(handle)
    except OSError as error:
        return error
    return None


def _error(result: int) -> OSError | None:
    return OSError(-result, os.strerror(-result)) if result < 0 else None
