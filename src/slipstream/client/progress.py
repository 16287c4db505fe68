"""How far a transfer of files is, for people who watch a terminal; silent for everybody else."""

import sys
from types import TracebackType
from typing import Any, Self

from slipstream import settings

_SMALLEST_SHOWN_BYTES = 10 << 20


class Progress:
    """A bar that counts bytes. Thread-safe. Shown only on a terminal and for transfers worth watching."""

    def __init__(self, label: str, total_bytes: int) -> None:
        self._bar: Any = None
        if (
            total_bytes >= _SMALLEST_SHOWN_BYTES
            and sys.stderr.isatty()
            and settings.ENABLE_ARTIFACTS_PROGRESS_BAR.get()
        ):
            from tqdm import tqdm

            self._bar = tqdm(total=total_bytes, desc=label, unit="B", unit_scale=True, leave=False)

    def add(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
