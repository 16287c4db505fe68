"""Entities as dictionaries, which is how code for MLflow reads them: `dict(run.info)`, `run.to_dictionary()`."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """A struct that gives its fields as pairs of name and value, in the order of the names."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name in sorted(self._listed()):
            yield name, getattr(self, name)

    def to_dictionary(self) -> dict[str, Any]:
        """Return the fields by name, and those of entities inside in the same way."""
        return {name: _plain(value) for name, value in self}

    @classmethod
    def _listed(cls) -> tuple[str, ...]:
        return cls.__struct_fields__


def _plain(value: Any) -> Any:
    if isinstance(value, Listed):
        return value.to_dictionary()
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value
