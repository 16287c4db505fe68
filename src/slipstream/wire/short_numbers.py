"""Many numbers as JSON in few bytes: as many digits as a 32-bit float has, or as a chart can show."""

import math
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise, repeat

_SHADES = 4096
"""Steps between the lowest and the highest number that a chart can show; screens have fewer rows of pixels."""
_LEAST_DIGITS = 3
"""Of each number, for axes that are logarithmic."""
_MOST_DIGITS = 15
_NEAR_INFINITY = 1e307
_WHOLE_FLOAT32 = 2.0**24
"""Up to it 32-bit floats have all whole numbers."""
_COARSE = 2.0**-12
"""Where numbers differ by less than this share of them, 32-bit floats are fewer than a chart's rows of pixels."""
_DIGITS_OF_ONE = 12
"""Of a number that is the only one."""


def float32_texts(values: Sequence[float]) -> list[str]:
    """Return finite numbers, each as a short text of the same 32-bit float; those beyond its range with nine digits."""
    texts = ["%.7g" % value for value in values]  # noqa: UP031  # three times as fast as format
    wanted = array("f", values)
    found = array("f", map(float, texts))
    if found != wanted or 0.0 in wanted or math.isinf(sum(map(abs, wanted))):
        for place, (text, value) in enumerate(zip(texts, values, strict=True)):
            if math.isinf(wanted[place]) or (wanted[place] == 0 and value != 0):
                texts[place] = repr(value) if abs(value) > _NEAR_INFINITY else f"{value:.9g}"
            elif array("f", (float(text),))[0] != wanted[place]:
                single = wanted[place]  # digits of the double could be those of the float beside it
                short = f"{single:.8g}"
                texts[place] = short if array("f", (float(short),))[0] == single else f"{single:.9g}"
    return texts


def point_texts(values: Sequence[float]) -> list[str]:
    """Return finite numbers as 32-bit floats, or with all of their digits where those would not tell them apart in a chart.

    A count of tokens beyond 2**24 is a whole number that a 32-bit float rounds, and so is a loss of 1e8 + 0.001.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    largest = max(abs(low), abs(high))
    if largest >= _WHOLE_FLOAT32 or (high / 2 - low / 2) < largest * _COARSE:
        return list(map(repr, values))
    return float32_texts(values)


class Shades:
    """Writes the numbers of one chart with the digits that show in it.

    Args:
        low: the lowest of them.
        high: the highest.
    """

    def __init__(self, low: float, high: float) -> None:
        span = high / 2 - low / 2  # whose double may be no double
        unit = math.floor(math.log10(span) - math.log10(_SHADES / 2)) if span > 0 else 0
        largest = max(abs(low), abs(high))
        if span <= 0:
            digits = _DIGITS_OF_ONE
        else:
            digits = max(_LEAST_DIGITS, min(_MOST_DIGITS, math.floor(math.log10(largest)) - unit + 1))
        if largest > _NEAR_INFINITY:  # rounded up it would be no double any more
            digits = 17
        self._plain = f"%.{-unit}f" if span > 0 and 0 >= unit >= -12 and largest < 1e12 else f"%.{digits}g"
        self._small = f"%.{_LEAST_DIGITS}g"
        self._border = 10.0 ** (unit + _LEAST_DIGITS) if span > 0 else 0.0

    def texts(self, values: Sequence[float]) -> list[str]:
        plain, small, border = self._plain, self._small, self._border
        return [plain % value if value >= border or value <= -border else small % value for value in values]


def list_text(values: Sequence[float | None], texts_of: Callable[[Sequence[float]], list[str]]) -> str:
    """Return finite numbers as a list of JSON, `None` as null; `texts_of` gives the texts of some of them."""
    numbers = [value for value in values if value is not None]
    if len(numbers) == len(values):
        return f"[{','.join(texts_of(numbers))}]"
    present = iter(texts_of(numbers))
    return f"[{','.join('null' if value is None else next(present) for value in values)}]"


def axis_text(xs: Sequence[int], unit: int) -> str:
    """Return integers in order as JSON: where they begin, how far apart they are, and how many or which they are.

    Args:
        xs: the integers.
        unit: what divides all of their differences.
    """
    if len(xs) == 0:
        return '{"start":0,"step":1,"count":0}'
    start = xs[0]
    differences = [later - earlier for earlier, later in pairwise(xs)]
    step = differences[0] if differences else 1
    if step > 0 and differences == list(repeat(step, len(differences))):
        return f'{{"start":{start},"step":{step},"count":{len(xs)}}}'
    return (
        f'{{"start":{start},"step":{unit},"deltas":[{",".join(str(each // unit) for each in differences)}]}}'
    )
