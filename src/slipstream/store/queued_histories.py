"""Histories through an engine: each piece is a read of its own, so that nothing is held between two of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from slipstream.entities import SeriesFilter, SeriesPoints
from slipstream.store.histories import Piece, Place, read_in_pieces

if TYPE_CHECKING:
    from slipstream.store.engine import Engine


class QueuedHistories:
    """The part of `QueuedStore` that reads in pieces."""

    engine: "Engine"

    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]:
        engine = self.engine

        def check(some: Sequence[str]) -> None:
            engine.read(lambda store: store.check_runs(some))

        def piece_of(runs: Sequence[str], filter_: SeriesFilter, place: Place | None) -> Piece:
            return engine.read(lambda store: store.get_series_piece(runs, filter_, place))

        return read_in_pieces(run_ids, keys, wanted, check, piece_of)
