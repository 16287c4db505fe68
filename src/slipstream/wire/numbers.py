"""Doubles as MLflow spells them in JSON."""

import math

LARGEST = 1.7976931348623157e308


def to_wire(value: float) -> float | str:
    """Return a double as it goes into an answer: NaN as text, infinities as the largest finite double."""
    if value != value:  # noqa: PLR0124  # only NaN differs from itself
        return "NaN"
    if math.isinf(value):
        return math.copysign(LARGEST, value)
    return value


def from_wire(value: float | str) -> float:
    """Return a double from an answer; the inverse of `to_wire` but for infinities."""
    return float(value)
