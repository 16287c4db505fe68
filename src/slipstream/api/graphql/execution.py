"""Answer a checked query: each field its value, in the order in which they were asked for."""

import functools
import math
from collections.abc import Mapping
from typing import Any, cast

from msgspec import UNSET

from slipstream.api.graphql.checks import Checker, bind, coerce_variables, included
from slipstream.api.graphql.language import Document, Field, Inline, Selection, parse
from slipstream.api.graphql.limits import check_size, choose_operation
from slipstream.api.graphql.schema import ENUMS, OBJECTS, ROOTS, Neighbours
from slipstream.errors import SlipstreamError
from slipstream.store.base import Store

_EMPTY: dict[str, object] = {"String": "", "LongString": "0", "Float": 0.0, "Int": 0, "Boolean": False}


def execute(
    store: Store, text: str, variables: Mapping[str, Any], operation_name: str | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the data that a query asks for, and what went wrong.

    There is no data at all when the query itself is wrong; a root field that fails is null, the others stay.
    """
    try:
        document = parse(text)
        check_size(document)
        operation = choose_operation(document, operation_name)
        faults = Checker(document, operation).check()
        if faults:
            return None, faults
        values = coerce_variables(operation, variables)
    except SlipstreamError as error:
        return None, [str(error)]
    run = _Execution(store, document, values)
    return run.root(operation.selections, operation.kind.title())


class _Execution:
    def __init__(self, store: Store, document: Document, variables: Mapping[str, Any]) -> None:
        self._store = store
        self._document = document
        self._variables = variables
        self._neighbours = Neighbours(store)

    def root(self, selections: list[Selection], type_name: str) -> tuple[dict[str, Any], list[str]]:
        data: dict[str, Any] = {}
        errors: list[str] = []
        for key, fields in self._fields(selections, type_name).items():
            name = fields[0].name
            if name == "__typename":
                data[key] = type_name
                continue
            takes, ask = ROOTS[name]
            try:
                arguments = {
                    argument: bind(value, self._variables, takes[argument])
                    for argument, value in fields[0].arguments.items()
                }
                answer = ask(self._store, arguments)
                self._neighbours.expect(answer)
                data[key] = self._complete(answer, OBJECTS[type_name][name], fields)
            except SlipstreamError as error:
                data[key] = None
                errors.append(str(error))
        return data, errors

    def _fields(self, selections: list[Selection], type_name: str) -> dict[str, list[Field]]:
        """Return the fields to answer by key, fragments unfolded and conditions decided."""
        found: dict[str, list[Field]] = {}
        self._collect(selections, found, set())
        return found

    def _collect(
        self, selections: list[Selection], found: dict[str, list[Field]], unfolded: set[str]
    ) -> None:
        for selection in selections:
            if not included(selection, self._variables):
                continue
            if isinstance(selection, Field):
                found.setdefault(selection.key, []).append(selection)
            elif isinstance(selection, Inline):
                self._collect(selection.selections, found, unfolded)
            elif selection.fragment not in unfolded:
                unfolded.add(selection.fragment)
                self._collect(self._document.fragments[selection.fragment].selections, found, unfolded)

    def _complete(self, value: Any, kind: str, fields: list[Field]) -> Any:
        if kind.startswith("["):
            items = cast("list[Any]", value or [])
            if kind[1:-1] not in OBJECTS:
                return [_leaf(each, kind[1:-1]) for each in items]
            return self._objects(items, kind[1:-1], fields)
        if kind not in OBJECTS:
            return _leaf(value, kind)
        return self._objects([value], kind, fields)[0]

    def _objects(self, values: list[Any], type_name: str, fields: list[Field]) -> list[dict[str, Any]]:
        """Return objects with the fields asked for; what to ask is worked out once for all of them."""
        merged = [each for field in fields for each in field.selections]
        wanted = self._fields(merged, type_name)
        types = OBJECTS[type_name]
        plan = [(key, group[0].name, types.get(group[0].name, ""), group) for key, group in wanted.items()]
        return [
            {
                key: type_name if name == "__typename" else self._field(value, type_name, name, kind, group)
                for key, name, kind, group in plan
            }
            for value in values
        ]

    def _field(self, value: Any, type_name: str, name: str, kind: str, group: list[Field]) -> Any:
        if kind == "ApiError":
            return None  # errors are told beside the data
        if type_name == "MlflowRunExtension" and name == "experiment":
            found = self._neighbours.experiment(value)
        elif type_name == "MlflowRunExtension" and name == "modelVersions":
            found = self._neighbours.model_versions(value)
        elif isinstance(value, dict):
            found = cast("dict[str, Any]", value).get(name)
            return found if found is None else self._complete(found, kind, group)
        else:
            found = getattr(value, _snake(name), None)
        return self._complete(None if found is UNSET else found, kind, group)


def _leaf(value: Any, kind: str) -> Any:
    if value is None or value is UNSET:
        return None if kind in ENUMS else _EMPTY[kind]
    if kind == "LongString":
        return str(value)
    if kind == "Float":
        number = float(value)
        return number if math.isfinite(number) else None  # JSON has no NaN, and GraphQL no word for it
    return value


@functools.cache
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
