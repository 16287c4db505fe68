"""How far an import or export is, for people who watch a terminal; silent for everybody else."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


class Bar:
    """Counts items, with a second number behind them."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._points = 0

    def add(self, items: int, points: int = 0) -> None:
        if self._bar is None:
            return
        self._points += points
        if self._points:
            self._bar.set_postfix_str(f"{self._points:,} points", refresh=False)
        self._bar.update(items)


@contextmanager
def bar(label: str, total: int | None, unit: str) -> Generator[Bar]:
    """Show a bar on a terminal while the block runs."""
    if not sys.stderr.isatty():
        yield Bar(None)
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=f" {unit}") as shown:
        yield Bar(shown)
