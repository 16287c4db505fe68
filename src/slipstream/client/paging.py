"""Pages of results as lists, with MLflow's `.token`."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from slipstream.client.values import to_int64
from slipstream.entities import Page

T = TypeVar("T")


class PagedList(list[T]):
    """One page of a search: a list that knows the token of the next page."""

    def __init__(self, items: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(items)
        self.token = token

    def to_list(self) -> list[T]:
        return list(self)


def paged(page: Page[T]) -> PagedList[T]:
    return PagedList(page.items, page.token)


def collect(fetch: Callable[[int, str | None], PagedList[T]], page_size: int, limit: int | None) -> list[T]:
    """Follow tokens until the results end or `limit` are there. `fetch` gets a page size and a token."""
    if limit is not None:
        limit = to_int64(limit, "max_results")
    found: list[T] = []
    token: str | None = None
    while limit is None or len(found) < limit:
        wanted = page_size if limit is None else min(page_size, limit - len(found))
        page = fetch(wanted, token)
        found.extend(page)
        token = page.token
        if not token:
            break
    return found
