"""Counts what the server does, for those who watch it."""

from slipstream.serving.answer import Answer
from slipstream.serving.catalog import Catalog, Version
from slipstream.serving.pool import Pending


class Observer:
    """Told of every answer; shows what it has counted."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def answered(
        self,
        protocol: str,
        operation: str,
        version: Version | None,
        status: int,
        began: float,
        pending: Pending | None,
    ) -> None:
        """Count one answer; `began` is by `time.perf_counter`."""

    def metrics(self) -> Answer:
        """Return what was counted, in Prometheus' text format."""
        return Answer(200, b"", "text/plain; version=0.0.4; charset=utf-8")
