"""Reading much through an engine: piece by piece, or all in one snapshot."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from slipstream.entities import SeriesFilter, SeriesPoints
from slipstream.store.histories import Piece, Place, read_in_pieces

if TYPE_CHECKING:
    from slipstream.store.engine import Engine
    from slipstream.store.sql import SqlStore

T = TypeVar("T")


class QueuedHistories:
    """The part of `QueuedStore` that reads much."""

    engine: "Engine"

    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]:
        # Each piece is a read of its own, so that nothing is held while somebody takes his time with it.
        engine = self.engine

        def check(some: Sequence[str]) -> None:
            engine.read(lambda store: store.check_runs(some))

        def piece_of(runs: Sequence[str], filter_: SeriesFilter, place: Place | None) -> Piece:
            return engine.read(lambda store: store.get_series_piece(runs, filter_, place))

        return read_in_pieces(run_ids, keys, wanted, check, piece_of)

    def read_snapshot(self, use: "Callable[[SqlStore], T]") -> T:
        """Run something that reads several times, and always the same data; it should not take long.

        It may be run again where the database could not finish it.
        """
        return self.engine.read(use)
