"""The small reader of protobuf messages: what it reads is what was written, and nothing breaks it."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.errors import InvalidParameterError
from slipstream.moving import protobuf


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def written(number: int, value: float | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


VALUES = st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(max_size=300)


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), VALUES), max_size=20))
def test_what_was_written_is_read(fields: list[tuple[int, Any]]) -> None:
    found = protobuf.fields(b"".join(written(*field) for field in fields))
    read = [
        (number, protobuf.signed(value) if isinstance(given, int) else protobuf.double(value) if isinstance(given, float) else value)
        for (number, value), (_, given) in zip(found, fields, strict=True)
    ]  # fmt: skip
    assert repr(read) == repr(fields)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidParameterError):  # any other error is a failure
        protobuf.fields(data)


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x0a\x05abc", b"\x09123", b"\x0d1", b"\x0b", b"\x08" + b"\xff" * 11, b"\x0a\xff"]
)
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="no protobuf message"):
        protobuf.fields(data)


def test_numbers_are_read_packed_or_not() -> None:
    assert protobuf.numbers([struct.pack("<2f", 0.5, 2.0)], "f") == [0.5, 2.0]
    assert protobuf.numbers([varint(-3) + varint(300)], "v") == [-3, 300]
    assert protobuf.numbers([7, 8], "v") == [7, 8]
    assert [protobuf.zigzag(each) for each in (0, 1, 2, 3)] == [0, -1, 1, -2]
    with pytest.raises(InvalidParameterError):
        protobuf.numbers([b"123"], "f")
