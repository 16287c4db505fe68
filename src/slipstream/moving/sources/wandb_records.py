"""W&B's `.wandb` files: the framing of LevelDB's log, and the messages in it that have a place here.

    file   = ":W&B", two bytes, a version, then blocks of 32,768 bytes, of which the first holds these seven, too
    chunk  = CRC-32 of kind and data (4 bytes), length (2), kind (1): 1 whole, 2 first, 3 middle, 4 last; data
    Record = one field, by whose number the kind of record is known

What is broken is left out up to the next chunk that begins a record. A file that is written yet ends anywhere.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipstream.errors import InvalidParameterError
from slipstream.moving import protobuf
from slipstream.moving.foreign_values import read_json
from slipstream.moving.report import Report
from slipstream.moving.sources.folder_reading import open_file

MAGIC = b":W&B"
BLOCK = 32_768
LARGEST_RECORD = 256 << 20
HISTORY, SUMMARY, CONFIG, FILES, STATS, ARTIFACT, ALERT, OUTPUT, RUN, EXIT, ENVIRONMENT = (
    *(2, 3, 5, 6, 7, 8, 10, 13, 17, 18),
    26,
)
_HEAD = 7
_DEEPEST = 100
_DIGITS = frozenset(b"%d" % digit for digit in range(10)) | {b"-"}
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_records(path: Path, report: Report | None, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a file, each with the place where it ends, up to `end`.

    Args:
        path: of the file.
        report: told once what is broken; `None` where that has been told.
        end: read no further.

    Raises:
        InvalidParameterError: it cannot be opened, or is none of W&B's.
    """
    broken = first = 0
    with open_file(path) as file:
        if not file.read(_HEAD).startswith(MAGIC):
            raise InvalidParameterError(
                f"{path} is no file of W&B's: it does not begin with '{MAGIC.decode()}'."
            )
        file.seek(0)
        base = 0
        parts: list[bytes] = []
        size = 0
        is_open = False
        while block := file.read(BLOCK):
            at = _HEAD if base == 0 else 0
            while at + _HEAD <= len(block):
                total = int.from_bytes(block[at : at + 4], "little")
                length = int.from_bytes(block[at + 4 : at + 6], "little")
                kind = block[at + 6]
                stop = at + _HEAD + length
                if stop > len(block):
                    if len(block) == BLOCK:  # else it is not written yet
                        broken, first = broken + 1, first or base + at
                        is_open = False
                    break
                if zlib.crc32(block[at + 6 : stop]) != total or not _WHOLE <= kind <= _LAST:
                    broken, first = broken + 1, first or base + at
                    is_open = False
                    if kind == 0 and length == 0:  # the rest of the block was never written
                        break
                    at = stop
                    continue
                if kind in (_WHOLE, _FIRST):
                    if is_open:
                        broken, first = broken + 1, first or base + at
                    parts, size, is_open = [], 0, True
                elif not is_open:
                    at = stop
                    continue
                parts.append(block[at + _HEAD : stop])
                size += length
                if size > LARGEST_RECORD:
                    broken, first = broken + 1, first or base + at
                    parts, is_open = [], False
                at = stop
                if is_open and kind in (_WHOLE, _LAST):
                    is_open = False
                    if end is not None and base + at > end:
                        return
                    yield base + at, parts[0] if len(parts) == 1 else b"".join(parts)
            base += len(block)
    if broken and report is not None:
        report.fail(
            "file",
            str(path),
            f"{broken:,} pieces of records are broken, the first at byte {first:,}; they are left out.",
        )


def kind_of(record: bytes) -> tuple[int, bytes]:
    """Return what a record is about, and its message; 0 for those that nobody here needs."""
    for number, value in protobuf.fields(record):
        if number in _KNOWN and isinstance(value, bytes):
            return number, value
    return 0, b""


_KNOWN = frozenset({HISTORY, SUMMARY, CONFIG, FILES, STATS, ARTIFACT, ALERT, OUTPUT, RUN, EXIT, ENVIRONMENT})


def read_item(message: bytes) -> tuple[list[str], Any]:
    """Return the path and the value of an item of a history, a config, a summary or of statistics.

    Raises:
        InvalidParameterError: it is none.
    """
    key = ""
    nested: list[str] = []
    value: Any = None
    for number, each in protobuf.fields(message):
        if number == 1:
            key = protobuf.text(each)
        elif number == 2:
            nested.append(protobuf.text(each))
        elif number == 4:
            value = bool(each)
        elif number == 5:
            value = protobuf.zigzag(each)
        elif number == 6:
            value = protobuf.double(each)
        elif number == 7:
            value = protobuf.text(each)
        elif number in (8, 16):
            value = _json(protobuf.raw(each))
    if len(nested) > _DEEPEST:
        raise InvalidParameterError(f"an item is nested more than {_DEEPEST} deep.")
    return nested or [key], value


def _json(content: bytes) -> Any:
    if content[:1] in _DIGITS:  # nearly all are numbers
        try:
            return float(content) if b"." in content or b"e" in content else int(content)
        except ValueError:
            pass
    return read_json(content)


def items(message: bytes, number: int = 1) -> Iterator[bytes]:
    """Yield the messages that a field repeats."""
    for name, each in protobuf.fields(message):
        if name == number and isinstance(each, bytes):
            yield each


def read_time(message: bytes) -> float:
    """Return the seconds of a `google.protobuf.Timestamp`."""
    seconds, nanos = 0, 0
    for number, each in protobuf.fields(message):
        if number == 1:
            seconds = protobuf.signed(each)
        elif number == 2:
            nanos = protobuf.signed(each)
    return seconds + nanos / 1e9
