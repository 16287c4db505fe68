"""Read the few protobuf messages that other programs write their runs in, without their descriptions.

A message is a row of fields, each a number and a value: an `int` where it is a varint, else the bytes as they are.
What they mean the caller knows. The `protobuf` package would need generated code, which its next major version refuses.
"""

import struct
from collections.abc import Iterable

from slipstream.errors import InvalidParameterError

Value = int | bytes
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")


def fields(data: bytes) -> list[tuple[int, Value]]:
    """Return the fields of a message in their order.

    Raises:
        InvalidParameterError: the bytes are no message.
    """
    found: list[tuple[int, Value]] = []
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key >= 0x80:
            key, at = _varint(data, at - 1)
        kind = key & 7
        if kind == 2:
            if at >= end:
                raise _broken()
            length = data[at]
            at += 1
            if length >= 0x80:
                length, at = _varint(data, at - 1)
            stop = at + length
        elif kind == 0:
            number, at = _varint(data, at)
            found.append((key >> 3, number))
            continue
        elif kind == 1:
            stop = at + 8
        elif kind == 5:
            stop = at + 4
        else:
            raise _broken()
        if stop > end:
            raise _broken()
        found.append((key >> 3, data[at:stop]))
        at = stop
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of at most 64 bits, and where the next thing begins."""
    value = shift = 0
    for index in range(at, min(at + 10, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, index + 1
        shift += 7
    raise _broken()


def _broken() -> InvalidParameterError:
    return InvalidParameterError("the bytes are no protobuf message.")


def double(value: Value) -> float:
    if isinstance(value, int) or len(value) != 8:
        raise _broken()
    return _DOUBLE.unpack(value)[0]


def single(value: Value) -> float:
    """Return a `float` of 32 bits."""
    if isinstance(value, int) or len(value) != 4:
        raise _broken()
    return _FLOAT.unpack(value)[0]


def signed(value: Value) -> int:
    """Return an `int32` or `int64`."""
    if not isinstance(value, int):
        raise _broken()
    return value - (1 << 64) if value >> 63 else value


def zigzag(value: Value) -> int:
    """Return an `sint64`."""
    if not isinstance(value, int):
        raise _broken()
    return (value >> 1) ^ -(value & 1)


def raw(value: Value) -> bytes:
    if isinstance(value, int):
        raise _broken()
    return value


def text(value: Value) -> str:
    """Return a `string`; bytes that are no UTF-8 become U+FFFD."""
    return raw(value).decode("utf-8", "replace")


def numbers(values: Iterable[Value], letter: str) -> list[float]:
    """Return a repeated number, packed or not; `letter` is that of `struct`, or `v` for varints."""
    found: list[float] = []
    for value in values:
        if isinstance(value, int):
            found.append(signed(value))
        elif letter == "v":
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                found.append(signed(number))
        elif len(value) % struct.calcsize(letter):
            raise _broken()
        else:
            found += [each for (each,) in struct.iter_unpack(f"<{letter}", value)]
    return found
