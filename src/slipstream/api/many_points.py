"""Answers of many points as JSON, made a slice at a time.

A point as an object takes several times the room of its text, so a million of them at once would take what a server has.
Objects of a slice stay in the processor's cache; making the text from columns without objects was slower.
"""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any

from slipstream.api.routing import Encoded, encode

_SLICE = 1_024


class PointsText:
    """The text of a message that begins with its list of points."""

    def __init__(self, name: str) -> None:
        self._text = BytesIO(
            b'{"%b":[' % name.encode()
        )  # which gives its bytes away in the end, without a copy
        self._text.seek(0, 2)
        self.is_empty = True
        """No point was added yet."""

    def add(self, points: Iterable[Any]) -> None:
        """Append points, which are made as they are needed."""
        points = iter(points)
        while some := list(islice(points, _SLICE)):
            if not self.is_empty:
                self._text.write(b",")
            self.is_empty = False
            self._text.write(memoryview(encode(some))[1:-1])

    def end(self, **fields: object) -> Encoded:
        """Append the other fields of the message, but for those that are `None`, and return it."""
        self._text.write(b"]")
        for name, value in fields.items():
            if value is not None:
                self._text.write(b',"%b":%b' % (name.encode(), encode(value)))
        self._text.write(b"}")
        return Encoded(self._text.getvalue())
