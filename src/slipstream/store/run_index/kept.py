"""What was found out of single runs, kept until they change."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import NamedTuple

_MOST_CHANGED = 100_000
_ENTRY_BYTES = 300


class _Entry(NamedTuple):
    value: object
    run: int
    upto: int
    size: int


class KeptByRun:
    """Values by key, each of one run, as of a number of the journal. Not thread-safe.

    Args:
        memory: how many bytes all of them may take; those that were not asked for longest go first.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._changed: dict[int, int] = {}
        """By run, up to which number it may have changed."""
        self._floor = 0
        """What is older is not known to be true."""
        self.size = 0

    def note(self, runs: Iterable[int], upto: int) -> None:
        """Remember that runs have changed."""
        for run in runs:
            self._changed[run] = upto
        if len(self._changed) > _MOST_CHANGED:
            self.clear(upto)

    def clear(self, upto: int) -> None:
        """Forget all, since anything may have changed up to a number."""
        self._entries.clear()
        self._changed.clear()
        self._floor = upto
        self.size = 0

    def get(self, key: Hashable) -> object | None:
        """Return a value, unless its run has changed."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not self._is_true(entry.run, entry.upto):
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def keep(self, key: Hashable, run: int, value: object, upto: int, size: int) -> None:
        """Keep a value that was true at a number."""
        if not self._is_true(run, upto):
            return
        self._drop(key)
        self._entries[key] = _Entry(value, run, upto, size + _ENTRY_BYTES)
        self.size += size + _ENTRY_BYTES
        while self.size > self._memory and self._entries:
            self._drop(next(iter(self._entries)))

    def _is_true(self, run: int, upto: int) -> bool:
        return upto >= self._floor and self._changed.get(run, 0) <= upto

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size
