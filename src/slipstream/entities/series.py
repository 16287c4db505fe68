"""Points of one metric of one run, many at a time: columns instead of objects."""

from array import array

import msgspec


class SeriesPoints(msgspec.Struct, frozen=True):
    """Points of one series, by (timestamp, step, value), a sample by step; the three arrays are equally long.

    NaN and infinities are what was logged. One array of 65,536 points takes half a megabyte, where as many
    `Metric`s take fifteen.
    """

    run_id: str
    key: str
    steps: "array[int]"
    """64-bit integers (`'q'`)."""
    timestamps: "array[int]"
    """Unix milliseconds (`'q'`)."""
    values: "array[float]"
    """Doubles (`'d'`)."""

    def __len__(self) -> int:
        return len(self.steps)


class SeriesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which points of a run are asked for; by default all."""

    keys: tuple[str, ...] | None = None
    """Names of metrics, or patterns of them with `*`, `?` and `[...]`, none of which a name can hold."""
    start_step: int | None = None
    end_step: int | None = None
    """The last step, itself included."""
    max_points: int | None = None
    """Points that a series gives at most: an even sample by position, the last point always."""
