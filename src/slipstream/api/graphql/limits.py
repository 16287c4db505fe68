"""How large a query may be, with all of its fragments unfolded; MLflow's figures."""

from slipstream import settings
from slipstream.api.graphql.language import Document, Field, Inline, Operation, Selection
from slipstream.errors import InvalidParameterError

DEPTH = 10
SELECTIONS = 1000


def check_size(document: Document) -> None:
    """Refuse a query that asks for too much at once; costs at most `SELECTIONS` steps.

    Raises:
        InvalidParameterError: names the limit, and how to raise it where that is possible.
    """
    roots = most_aliases = total = 0
    for operation in document.operations:
        waiting: list[tuple[list[Selection], int]] = [(operation.selections, 1)]
        while waiting:
            selections, depth = waiting.pop()
            if depth > DEPTH:
                raise InvalidParameterError(f"Query exceeds maximum depth of {DEPTH}")
            fields, seen = _level(document, selections, SELECTIONS - total)
            total += seen
            roots += len(fields) if depth == 1 else 0
            most_aliases = max(most_aliases, sum(field.alias is not None for field in fields))
            waiting += [(field.selections, depth + 1) for field in fields if field.selections]
    _require(roots, settings.SERVER_GRAPHQL_MAX_ROOT_FIELDS, "root fields")
    _require(most_aliases, settings.SERVER_GRAPHQL_MAX_ALIASES, "aliases")


def _level(document: Document, selections: list[Selection], room: int) -> tuple[list[Field], int]:
    """Return the fields of one level, fragments unfolded, and how many selections that took."""
    fields: list[Field] = []
    waiting = list(selections)
    unfolded: set[str] = set()
    seen = 0
    while waiting:
        selection = waiting.pop()
        seen += 1
        if seen > room:
            raise InvalidParameterError(f"Query exceeds maximum total selections of {SELECTIONS}")
        if isinstance(selection, Field):
            fields.append(selection)
        elif isinstance(selection, Inline):
            waiting += selection.selections
        elif selection.fragment not in unfolded:
            unfolded.add(selection.fragment)
            if selection.fragment in document.fragments:
                waiting += document.fragments[selection.fragment].selections
    return fields, seen


def _require(count: int, setting: "settings.Setting[int]", what: str) -> None:
    if count > setting.get():
        raise InvalidParameterError(
            f"GraphQL queries should have at most {setting.get()} {what}, got {count} {what}. "
            f"Ask for the rest in another query, or set {setting.name} at the server."
        )


def choose_operation(document: Document, name: str | None) -> Operation:
    """Return the operation that a request names, or the only one.

    Raises:
        InvalidParameterError: there is none of this name, or several and none was named.
    """
    if name:
        for operation in document.operations:
            if operation.name == name:
                return operation
        raise InvalidParameterError(f"Unknown operation named '{name[:100]}'.")
    if len(document.operations) > 1:
        raise InvalidParameterError("Must provide operation name if query contains multiple operations.")
    return document.operations[0]
