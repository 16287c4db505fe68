"""One field of all runs of an experiment: numbers in an array, texts as numbers of a list of different texts.

A slot is a run's place in every column of its table.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

Text: TypeAlias = str | tuple[str, ...] | None
"""A text; several, for what a run can have more of than one; `None` where it has none."""

_FEW = 255
"""As many texts as a byte can tell apart, beside having none."""
_TEXT_BYTES = 57

PRESENT, NAN, MISSING = 0, 1, 2
"""Ranks of numbers: how they are ordered, whatever the direction."""


class TextColumn:
    """Texts. `codes[slot]` is the place of the slot's text in `values`, whose first is `None`."""

    __slots__ = ("_numbers", "codes", "values")

    def __init__(self, texts: Iterable[Text] = ()) -> None:
        self.values: list[Text] = [None]
        self.codes: bytearray | array[int] = bytearray()
        self._numbers: dict[Text, int] | None = {None: 0}
        self.load(texts)

    def load(self, texts: Iterable[Text]) -> None:
        """Begin anew with these."""
        self.begin()
        self.extend(list(texts))
        self.end()

    def begin(self) -> None:
        """Begin anew: `extend` comes next, any number of times, and then `end`."""
        self._numbers = {None: 0}
        self.codes = array("I")

    def extend(self, texts: Sequence[Text]) -> None:
        """Append many, between `begin` and `end`."""
        numbers = self._numbers
        assert numbers is not None
        for text in dict.fromkeys(texts):
            numbers.setdefault(text, len(numbers))
        codes = self.codes
        assert isinstance(codes, array)
        codes.extend(map(numbers.__getitem__, texts))

    def end(self) -> None:
        """Put together what `extend` was given."""
        numbers, codes = self._numbers, self.codes
        assert numbers is not None
        self.values = list(numbers)
        if len(numbers) <= _FEW + 1:
            self.codes = bytearray(iter(codes))  # an array itself would give its memory
        # With as many texts as runs, knowing each one's number would take more room than writing some twice.
        if len(numbers) > max(_FEW + 1, len(codes) // 4):
            self._numbers = None

    @property
    def few(self) -> bool:
        """Whether there are so few different texts that a mask costs hardly anything."""
        return isinstance(self.codes, bytearray)

    def append(self, text: Text) -> None:
        code = self._code(text)  # which may widen the codes
        self.codes.append(code)

    def __getitem__(self, slot: int) -> Text:
        return self.values[self.codes[slot]]

    def at(self, slot: int) -> Text:
        """Return what a slot has, to be compared with what it has later."""
        return self.values[self.codes[slot]]

    def __setitem__(self, slot: int, text: Text) -> None:
        if self.values[self.codes[slot]] == text:
            return
        code = self._code(text)
        self.codes[slot] = code
        if len(self.values) > 2 * len(self.codes) + 1024:
            self.load([self.values[code] for code in self.codes])

    def _code(self, text: Text) -> int:
        if text is None:
            return 0
        numbers = self._numbers
        if numbers is not None:
            code = numbers.get(text)
            if code is not None:
                return code
            numbers[text] = len(self.values)
            if len(numbers) > max(4096, len(self.codes) // 2):
                self._numbers = None
        self.values.append(text)
        code = len(self.values) - 1
        if code > _FEW and isinstance(self.codes, bytearray):
            # A list, since an array takes bytes as its memory and not as numbers.
            self.codes = array("I", list(self.codes))
        return code

    def mask(self, holds: Callable[[Text], bool]) -> bytearray:
        """Return for each slot 1 or 0: whether its text meets a condition."""
        flags = bytes(map(holds, self.values))
        if isinstance(self.codes, bytearray):
            return self.codes.translate(flags.ljust(256, b"\0"))
        return bytearray(map(flags.__getitem__, self.codes))

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        texts = sum(
            _TEXT_BYTES + (len(value) if isinstance(value, str) else 64 * len(value))
            for value in self.values
            if value is not None
        )
        known = 100 * len(self._numbers) if self._numbers is not None else 0
        return len(self.codes) * (1 if isinstance(self.codes, bytearray) else 4) + texts + known


class NumberColumn:
    """Numbers of one kind (`"d"` or `"q"`) with their ranks. Where there is none, 0 for integers and NaN for others."""

    __slots__ = ("_nothing", "ranks", "values")

    def __init__(self, kind: str, count: int = 0) -> None:
        self._nothing: float = float("nan") if kind == "d" else 0
        self.values: array[float] = array(kind, [self._nothing]) * count
        self.ranks = bytearray([MISSING]) * count

    def append(self, value: float, rank: int = PRESENT) -> None:
        self.values.append(value if rank == PRESENT else self._nothing)
        self.ranks.append(rank)

    def extend(self, values: Sequence[float]) -> None:
        """Append many that are all there."""
        self.values.extend(values)
        self.ranks.extend(bytes([PRESENT]) * len(values))

    def set(self, slot: int, value: float, rank: int = PRESENT) -> None:
        self.values[slot] = value if rank == PRESENT else self._nothing
        self.ranks[slot] = rank

    def clear(self, slot: int) -> None:
        self.set(slot, self._nothing, MISSING)

    def at(self, slot: int) -> tuple[float, int]:
        """Return a slot's number and rank, to be compared with what they are later."""
        return self.values[slot], self.ranks[slot]

    def mask(self, compare: Callable[[float, float], bool], number: float, ranks: Sequence[int]) -> bytearray:
        """Return for each slot 1 or 0: whether its number compares so and has one of some ranks."""
        compared = bytes(map(compare, self.values, repeat(number)))
        return both(compared, self.mask_ranks(ranks))

    def mask_ranks(self, ranks: Sequence[int]) -> bytearray:
        return self.ranks.translate(bytes(rank in ranks for rank in range(256)))

    @property
    def size(self) -> int:
        return 9 * len(self.values)


def both(one: bytes | bytearray, other: bytes | bytearray) -> bytearray:
    """Return the mask of what is in two masks."""
    together = int.from_bytes(one, "little") & int.from_bytes(other, "little")
    return bytearray(together.to_bytes(len(one), "little"))


def count(mask: bytes | bytearray) -> int:
    """Return how many slots a mask holds."""
    return int.from_bytes(mask, "little").bit_count()
