"""One page of a search."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some results in order, and the token that fetches the next ones."""

    items: list[T]
    token: str | None = None
    """`None` on the last page; otherwise opaque, to be handed back with the same query."""
