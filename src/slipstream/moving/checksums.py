"""CRC-32C (Castagnoli), which TensorFlow's records carry."""

from collections.abc import Callable
from functools import cache
from typing import Any

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8


@cache
def crc32c_function() -> Callable[[bytes], int]:
    """Return what computes it: a library where one is installed, else a table, at some 10 MB a second."""
    try:
        import google_crc32c
    except ImportError:
        return crc32c_by_table
    library: Any = google_crc32c  # it has no annotations
    return library.value


@cache
def _table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c_by_table(data: bytes) -> int:
    table = _table()
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """Return a sum as records keep it, so that one of data with sums inside is not always the same."""
    return ((checksum >> 15 | checksum << 17 & 0xFFFFFFFF) + _MASK) & 0xFFFFFFFF
