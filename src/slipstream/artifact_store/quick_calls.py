"""Calls of the system that Python has not, or only at a price, where thousands of files a second are written."""

import ctypes
import os
import sys
from collections.abc import Callable

_NO_REPLACE = 1
"""`RENAME_NOREPLACE`."""


def _closer() -> Callable[[int], object]:
    """Return what closes a file that is on the disk already, which waits for nothing.

    Python lets other threads run meanwhile; getting the turn back costs far more than the closing.
    """
    if not sys.platform.startswith("linux"):
        return os.close
    close = ctypes.PyDLL(None).close
    close.argtypes = (ctypes.c_int,)
    return close


def _renamer() -> Callable[[int, str, str], bool] | None:
    """Return what renames a file of a folder to a name that nobody has, and tells whether it did."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).renameat2
    except AttributeError:  # an older C library
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    def rename(folder: int, old: str, new: str) -> bool:
        done: int = function(folder, os.fsencode(old), folder, os.fsencode(new), _NO_REPLACE)
        return done == 0

    return rename


def _writer_of(flags: int) -> Callable[[int], bool] | None:
    """Return what has the system write a file's content, and tells whether that went well; only Linux can."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).sync_file_range
    except AttributeError:  # no such call in this C library
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def write(handle: int) -> bool:
        return bool(function(handle, 0, 0, flags) == 0)

    return write


start_writing = _writer_of(2)
"""Begins, and does not wait. Only a hint: what fails is found by those that follow."""
wait_until_written = _writer_of(1 | 2 | 4)
"""Waits until the disk has it, perhaps only in its cache: no sync, which must follow."""
close_file = _closer()
rename_to_free_name = _renamer()
