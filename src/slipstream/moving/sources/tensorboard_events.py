"""TensorBoard's event files: TensorFlow's record framing, and the messages in it.

    record   = length (8 bytes), masked CRC-32C of it, data, masked CRC-32C of the data; all little-endian
    data     = an Event: 1 wall time, 2 step, 5 Summary
    Summary  = Values: 1 tag, 2 a float (TensorFlow 1), 4 image, 6 audio, 8 tensor (TensorFlow 2), 9 metadata

A record whose sum is wrong is left out. After a length whose sum is wrong nothing can be found. A last record that is
cut off is not there yet.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from slipstream.errors import InvalidParameterError
from slipstream.moving import protobuf
from slipstream.moving.checksums import crc32c_function, masked
from slipstream.moving.foreign_values import fit_text, text_of
from slipstream.moving.report import Report
from slipstream.moving.sources.folder_reading import open_file

LARGEST_RECORD = 256 << 20
MOST_BROKEN = 10_000
"""Records with wrong sums after which a file is given up."""
_HEAD = struct.Struct("<QI")
_SUM = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_LETTERS = {
    1: "f",
    2: "d",
    3: "i",
    4: "B",
    5: "h",
    6: "b",
    9: "q",
    10: "?",
    17: "H",
    19: "e",
    22: "I",
    23: "Q",
}
"""How `struct` calls the types of tensors; 7 is text, 14 is bfloat16."""
_VALUE_FIELDS = {5: "f", 6: "d", 7: "v", 10: "v", 11: "v", 16: "v", 17: "v"}
_TEXT, _BFLOAT16, _HALF_FIELD = 7, 14, 13
_ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "wav"}


class Record(NamedTuple):
    end: int
    """Where the next one begins in the file."""
    data: bytes


def read_records(path: Path, report: Report, broken: set[int], end: int | None = None) -> Iterator[Record]:
    """Yield the whole records of an event file.

    Args:
        path: of the file.
        report: told once what is broken, with how much of it there is.
        broken: where records begin whose sums are wrong; filled, or left out when `end` is given.
        end: how far the file has been checked before, which is read again.

    Raises:
        InvalidParameterError: as `open_file`.
    """
    crc32c = crc32c_function()
    at = 0
    with open_file(path) as file:
        while end is None or at < end:
            head = file.read(12)
            if len(head) < 12:
                break
            length, total = _HEAD.unpack(head)
            if end is None and masked(crc32c(head[:8])) != total:
                report.fail(
                    "event file",
                    str(path),
                    f"it is broken from byte {at:,} on; what comes after is not read.",
                )
                break
            begin, at = at, at + 16 + length
            if length > LARGEST_RECORD:
                if end is None:
                    report.fail(
                        "event file",
                        str(path),
                        f"the record at byte {begin:,} has {length:,} bytes; it is left out.",
                    )
                if file.seek(0, 2) < at:
                    break
                file.seek(at)
                continue
            data = file.read(length + 4)
            if len(data) < length + 4:
                break
            body = data[:-4]
            if end is None and masked(crc32c(body)) != _SUM.unpack_from(data, length)[0]:
                broken.add(begin)
                if len(broken) == MOST_BROKEN:
                    break
            elif begin not in broken:
                yield Record(at, body)
    if broken and end is None:
        rest = " What comes after is not read." if len(broken) == MOST_BROKEN else ""
        report.fail(
            "event file",
            str(path),
            f"{len(broken):,} records have other checksums than their data, the first at byte {min(broken):,}.{rest}",
        )


def read_record_at(path: Path, at: int) -> bytes:
    """Return the data of a record that was found right before.

    Raises:
        InvalidParameterError: it is not there any more.
    """
    with open_file(path) as file:
        file.seek(at)
        head = file.read(12)
        length = _HEAD.unpack(head)[0] if len(head) == 12 else LARGEST_RECORD + 1
        data = file.read(length) if length <= LARGEST_RECORD else b""
        if len(data) != length:
            raise InvalidParameterError(f"{path} is another file than before.")
        return data


class Event(NamedTuple):
    wall_time: float
    step: int
    values: list[bytes]


class Summary(NamedTuple):
    """One value of an event."""

    tag: str
    plugin: str
    """Empty where the value does not tell."""
    content: bytes
    """Of the plugin."""
    simple: float | None
    image: bytes | None
    audio: bytes | None
    tensor: bytes | None
    histogram: bool


def read_event(data: bytes) -> Event:
    wall_time, step = 0.0, 0
    values: list[bytes] = []
    for number, value in protobuf.fields(data):
        if number == 1:
            wall_time = protobuf.double(value)
        elif number == 2:
            step = protobuf.signed(value)
        elif number == 5:
            values += [protobuf.raw(each) for name, each in protobuf.fields(protobuf.raw(value)) if name == 1]
    return Event(wall_time, step, values)


class SimpleEvent(NamedTuple):
    """The commonest event: one number."""

    wall_time: float
    step: int
    tag: bytes
    value: float


def read_simple_event(data: bytes) -> SimpleEvent | None:
    """Return the commonest kind of event, without looking at more; `None` for all others."""
    size = len(data)
    if size < 20 or data[0] != 0x09:
        return None
    at, step = 9, 0
    if data[9] == 0x10:  # a step, which is not written when it is 0
        at, shift = 10, 0
        while data[at] >= 0x80:
            step |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if shift > 56 or at + 12 > size:
                return None  # negative ones have ten bytes
        step |= data[at] << shift
        at += 1
    if (
        at + 11 > size
        or data[at] != 0x2A
        or data[at + 1] != size - at - 2
        or data[at + 2] != 0x0A
        or data[at + 3] != size - at - 4
        or data[at + 4] != 0x0A
        or data[at + 5] != size - at - 11
        or data[size - 5] != 0x15
        or size - at > 0x7F
    ):
        return None
    return SimpleEvent(
        _DOUBLE.unpack_from(data, 1)[0], step, data[at + 6 : size - 5], _FLOAT.unpack_from(data, size - 4)[0]
    )


def read_summary(value: bytes) -> Summary:
    tag = plugin = ""
    content = b""
    simple: float | None = None
    image = audio = tensor = None
    histogram = False
    for number, each in protobuf.fields(value):
        if number == 1:
            tag = protobuf.text(each)
        elif number == 2:
            simple = protobuf.single(each)
        elif number == 4:
            image = protobuf.raw(each)
        elif number in (3, 5):
            histogram = True
        elif number == 6:
            audio = protobuf.raw(each)
        elif number == 8:
            tensor = protobuf.raw(each)
        elif number == 9:
            for name, metadata in protobuf.fields(protobuf.raw(each)):
                if name == 1:
                    for part, told in protobuf.fields(protobuf.raw(metadata)):
                        if part == 1:
                            plugin = protobuf.text(told)
                        elif part == 2:
                            content = protobuf.raw(told)
    return Summary(tag, plugin, content, simple, image, audio, tensor, histogram)


# -- tensors --------------------------------------------------------------------------------------------


def tensor_numbers(tensor: bytes) -> list[float]:
    """Return the numbers of a small tensor.

    Raises:
        InvalidParameterError: it holds none.
    """
    found = protobuf.fields(tensor)
    dtype = next((protobuf.signed(value) for number, value in found if number == 1), 0)
    content = b"".join(protobuf.raw(value) for number, value in found if number == 4)
    if content:
        if dtype == _BFLOAT16:
            return [
                struct.unpack("<f", b"\0\0" + content[at : at + 2])[0] for at in range(0, len(content) - 1, 2)
            ]
        letter = _LETTERS.get(dtype)
        if letter is None:
            raise InvalidParameterError(f"its tensor has the type {dtype}, which is no number.")
        return [float(each) for each in protobuf.numbers([content], letter)]
    for number, letter in _VALUE_FIELDS.items():
        values = [value for field, value in found if field == number]
        if values:
            return [float(each) for each in protobuf.numbers(values, letter)]
    halves = protobuf.numbers([value for field, value in found if field == _HALF_FIELD], "v")
    if halves:
        packed = [int(each) & 0xFFFF for each in halves]
        if dtype == _BFLOAT16:
            return [struct.unpack("<f", struct.pack("<HH", 0, each))[0] for each in packed]
        return [struct.unpack("<e", struct.pack("<H", each))[0] for each in packed]
    if dtype in _LETTERS and dtype != _TEXT:
        return [0.0]  # a zero is not written
    raise InvalidParameterError("its tensor holds no number.")


def tensor_texts(tensor: bytes) -> list[bytes]:
    """Return the texts of a tensor as bytes; pictures are kept as such, too."""
    return [protobuf.raw(value) for number, value in protobuf.fields(tensor) if number == 8]


# -- pictures and sounds --------------------------------------------------------------------------------


def image_content(image: bytes) -> bytes:
    """Return the encoded file of TensorFlow 1's image message."""
    return b"".join(protobuf.raw(value) for number, value in protobuf.fields(image) if number == 4)


audio_content = image_content
"""The encoded file of its audio message, which has the same number there."""


def ending_of(content: bytes) -> str:
    return next((ending for start, ending in _ENDINGS.items() if content.startswith(start)), "bin")


# -- hyperparameters ------------------------------------------------------------------------------------


class Session(NamedTuple):
    """What the hparams plugin tells of a run."""

    params: dict[str, str]
    start_time: float | None
    status: int | None
    """1 it went well, 2 it failed, 3 it goes on."""
    end_time: float | None
    group: str


def read_session(content: bytes) -> Session:
    params: dict[str, str] = {}
    start: float | None = None
    end: float | None = None
    status: int | None = None
    group = ""
    for number, value in protobuf.fields(content):
        if number == 3:
            for name, each in protobuf.fields(protobuf.raw(value)):
                if name == 1:
                    key, param = _map_entry(protobuf.raw(each))
                    params[key] = param
                elif name == 4:
                    group = protobuf.text(each)
                elif name == 5:
                    start = protobuf.double(each)
        elif number == 4:
            for name, each in protobuf.fields(protobuf.raw(value)):
                if name == 1:
                    status = protobuf.signed(each)
                elif name == 2:
                    end = protobuf.double(each)
    return Session(params, start, status, end, group)


def _map_entry(entry: bytes) -> tuple[str, str]:
    key, value = "", "None"
    for number, each in protobuf.fields(entry):
        if number == 1:
            key = protobuf.text(each)
        elif number == 2:
            value = text_of(_plain(protobuf.raw(each), 0))
    return fit_text(key), value


def _plain(message: bytes, depth: int) -> object:
    """Return what a `google.protobuf.Value` holds; whole numbers without a fraction, since it knows doubles only."""
    if depth > 50:
        raise InvalidParameterError("its hyperparameters are nested more than 50 deep.")
    for number, value in protobuf.fields(message):
        if number == 2:
            double = protobuf.double(value)
            return int(double) if double.is_integer() and abs(double) < 2**53 else double
        if number == 3:
            return protobuf.text(value)
        if number == 4:
            return bool(value)
        if number == 6:
            items = protobuf.fields(protobuf.raw(value))
            return [_plain(protobuf.raw(each), depth + 1) for name, each in items if name == 1]
    return None
