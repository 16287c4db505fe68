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


def exact_to_wire(value: float) -> float | str:
    """Return a double as it goes into an answer of a route of our own: what is no number as `NaN`, `Infinity`, `-Infinity`."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def from_wire(value: float | str) -> float:
    """Return a double from an answer; the inverse of `to_wire` but for infinities."""
    return float(value)
