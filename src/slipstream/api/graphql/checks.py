"""Whether a query fits the schema, asked before anything is looked up; and values as the schema wants them."""

from collections.abc import Mapping
from typing import Any, cast

from slipstream.api.graphql.language import (
    Directive,
    Document,
    EnumName,
    Field,
    Inline,
    Operation,
    Selection,
    Spread,
    TypeRef,
    Value,
    Variable,
    as_json,
)
from slipstream.api.graphql.schema import ENUMS, INPUTS, OBJECTS, SCALARS, arguments_of
from slipstream.errors import InvalidParameterError

INT32 = 2**31
_CONDITIONS = ("include", "skip")


class Checker:
    """Checks one operation of a document; finds all faults of its fields, and reports them together."""

    def __init__(self, document: Document, operation: Operation) -> None:
        self._document = document
        self._operation = operation
        self.faults: list[str] = []

    def check(self) -> list[str]:
        if self._operation.kind == "subscription":
            return ["Schema is not configured to execute subscription operation."]
        for name, variable in self._operation.variables.items():
            base = _base(variable.type)
            if base not in SCALARS and base not in ENUMS and base not in INPUTS:
                self._fault(
                    f"Variable '${name}' cannot be of type '{variable.type}', which is no type of inputs."
                )
            elif variable.has_default:
                self._check_value(variable.default, str(variable.type))
        for directive in self._operation.directives:
            if directive.name != "component":
                self._fault(f"Unknown directive '@{directive.name}' on an operation.")
            self._use_variables(directive.arguments)
        root = self._operation.kind.title()
        self._check_selections(self._operation.selections, root)
        return self.faults

    def _fault(self, text: str) -> None:
        if text not in self.faults and len(self.faults) < 20:
            self.faults.append(text)

    def _check_selections(self, selections: list[Selection], type_name: str) -> None:
        grouped: dict[str, list[Field]] = {}
        self._group(selections, type_name, grouped, set())
        for key, fields in grouped.items():
            first = fields[0]
            for other in fields[1:]:
                if other.name != first.name or other.arguments != first.arguments:
                    self._fault(
                        f"Fields '{key}' conflict because they ask for different things. Use different aliases."
                    )
            for field in fields:
                self._check_field(field, type_name)
            if (kind := OBJECTS[type_name].get(first.name)) and (inner := kind.strip("[]")) in OBJECTS:
                merged = [each for field in fields for each in field.selections]
                if merged:
                    self._check_selections(merged, inner)

    def _group(
        self,
        selections: list[Selection],
        type_name: str,
        grouped: dict[str, list[Field]],
        unfolded: set[str],
    ) -> None:
        for selection in selections:
            self._check_directives(selection.directives)
            if isinstance(selection, Field):
                grouped.setdefault(selection.key, []).append(selection)
            elif isinstance(selection, Inline):
                if selection.type_name in (None, type_name):
                    self._group(selection.selections, type_name, grouped, unfolded)
                else:
                    self._misfit(f"of type '{selection.type_name}'", type_name)
            elif selection.fragment not in unfolded:
                unfolded.add(selection.fragment)
                fragment = self._document.fragments.get(selection.fragment)
                if fragment is None:
                    self._fault(f"Unknown fragment '{selection.fragment}'.")
                elif fragment.type_name != type_name:
                    self._misfit(f"'{fragment.name}' of type '{fragment.type_name}'", type_name)
                else:
                    self._group(fragment.selections, type_name, grouped, unfolded)

    def _misfit(self, what: str, type_name: str) -> None:
        self._fault(f"A fragment {what} cannot be spread where a '{type_name}' is.")

    def _check_field(self, field: Field, type_name: str) -> None:
        if field.name == "__typename":
            if field.selections or field.arguments:
                self._fault("Field '__typename' has neither arguments nor fields.")
            return
        if field.name in ("__schema", "__type"):
            self._fault(f"'{field.name}': introspection is not offered; the types are MLflow's.")
            return
        kind = OBJECTS[type_name].get(field.name)
        if kind is None:
            self._fault(f"Cannot query field '{field.name}' on type '{type_name}'.")
            return
        if kind.strip("[]") in OBJECTS:
            if not field.selections:
                self._fault(
                    f"Field '{field.name}' of type '{kind}' must have a selection of subfields. "
                    f"Did you mean '{field.name} {{ ... }}'?"
                )
        elif field.selections:
            self._fault(
                f"Field '{field.name}' must not have a selection since type '{kind}' has no subfields."
            )
        takes = arguments_of(type_name, field.name)
        for name, value in field.arguments.items():
            if name in takes:
                self._check_value(value, takes[name])
            else:
                self._fault(f"Unknown argument '{name}' on field '{type_name}.{field.name}'.")

    def _check_directives(self, directives: list[Directive]) -> None:
        for directive in directives:
            if directive.name not in _CONDITIONS:
                self._fault(f"Unknown directive '@{directive.name}'.")
            elif set(directive.arguments) != {"if"}:
                self._fault(f"Directive '@{directive.name}' takes one argument, 'if'.")
            else:
                self._check_value(directive.arguments["if"], "Boolean!")

    def _use_variables(self, arguments: Mapping[str, Value]) -> None:
        for value in arguments.values():
            if isinstance(value, Variable) and value.name not in self._operation.variables:
                self._fault(f"Variable '${value.name}' is not defined by the operation.")

    def _check_value(self, value: Value, wanted: str) -> None:
        """Check a value that stands in the query."""
        kind = wanted.removesuffix("!")
        if isinstance(value, Variable):
            self._check_variable(value, wanted)
        elif value is None:
            if wanted != kind:
                self._fault(f"Expected value of type '{wanted}', found null.")
        elif kind.startswith("["):
            for each in cast("list[Value]", value) if isinstance(value, list) else [value]:
                self._check_value(each, kind[1:-1])
        elif kind in INPUTS:
            if not isinstance(value, dict):
                self._fault(f"Expected value of type '{kind}', found {_shown(value)}.")
                return
            for name, each in cast("dict[str, Value]", value).items():
                if name in INPUTS[kind]:
                    self._check_value(each, INPUTS[kind][name])
                else:
                    self._fault(f"Field '{name}' is not defined by type '{kind}'.")
        elif not _fits(value, kind, literal=True):
            self._fault(f"{kind} cannot represent the value {_shown(value)}.")

    def _check_variable(self, value: Variable, wanted: str) -> None:
        definition = self._operation.variables.get(value.name)
        if definition is None:
            self._fault(f"Variable '${value.name}' is not defined by the operation.")
            return
        given = str(definition.type)
        if definition.has_default and definition.default is not None and not given.endswith("!"):
            given += "!"
        if not _goes_into(given, wanted):
            self._fault(
                f"Variable '${value.name}' of type '{definition.type}' used in position expecting type '{wanted}'."
            )


def coerce_variables(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an operation's variables.

    Raises:
        InvalidParameterError: one is missing, or does not fit its type.
    """
    values: dict[str, Any] = {}
    for name, definition in operation.variables.items():
        if name in given:
            values[name] = _coerce(given[name], str(definition.type), f"Variable '${name}'")
        elif definition.has_default:
            values[name] = as_json(definition.default)
        elif definition.type.required:
            raise InvalidParameterError(
                f"Variable '${name}' of required type '{definition.type}' was not provided."
            )
    return values


def _coerce(value: Any, wanted: str, where: str) -> Any:
    kind = wanted.removesuffix("!")
    if value is None:
        if kind != wanted:
            raise InvalidParameterError(f"{where} of required type '{wanted}' must not be null.")
        return None
    if kind.startswith("["):
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [_coerce(each, kind[1:-1], f"{where}[{index}]") for index, each in enumerate(items)]
    if kind in INPUTS:
        if not isinstance(value, dict):
            raise InvalidParameterError(
                f"{where}: expected type '{kind}' to be an object, found {_shown(value)}."
            )
        fields = cast("dict[str, Any]", value)
        for name in fields:
            if name not in INPUTS[kind]:
                raise InvalidParameterError(f"{where}: field '{name[:100]}' is not defined by type '{kind}'.")
        return {name: _coerce(each, INPUTS[kind][name], f"{where}.{name}") for name, each in fields.items()}
    if not _fits(value, kind, literal=False):
        raise InvalidParameterError(f"{where}: {kind} cannot represent the value {_shown(value)}.")
    return value


def bind(value: Value, variables: Mapping[str, Any], wanted: str) -> Any:
    """Return a checked value of the query with variables put in, single items of lists as lists."""
    if isinstance(value, Variable):
        return variables.get(value.name)
    kind = wanted.removesuffix("!")
    if value is None:
        return None
    if kind.startswith("["):
        items = cast("list[Value]", value) if isinstance(value, list) else [value]
        return [bind(each, variables, kind[1:-1]) for each in items]
    if kind in INPUTS:
        bound: dict[str, Any] = {}
        for name, each in cast("dict[str, Value]", value).items():
            if not isinstance(each, Variable) or each.name in variables:
                bound[name] = bind(each, variables, INPUTS[kind][name])
        return bound
    return as_json(value)


def included(selection: Field | Inline | Spread, variables: Mapping[str, Any]) -> bool:
    """Tell whether `@include` and `@skip` leave a selection in."""
    for directive in selection.directives:
        condition = bind(directive.arguments["if"], variables, "Boolean!")
        if condition is (directive.name == "skip"):
            return False
    return True


def _fits(value: Any, kind: str, *, literal: bool) -> bool:
    if kind in ENUMS:
        name = value.name if isinstance(value, EnumName) and literal else value
        return (literal is isinstance(value, EnumName)) and name in ENUMS[kind]
    if isinstance(value, EnumName | list | dict):
        return False
    if kind == "String":
        return isinstance(value, str)
    if kind == "Boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "Int":
        return isinstance(value, int) and -INT32 <= value < INT32
    if kind == "LongString":
        return isinstance(value, int) or (isinstance(value, str) and value.lstrip("-").isdecimal())
    return isinstance(value, int | float)


def _goes_into(given: str, wanted: str) -> bool:
    """Tell whether a variable of one type may stand where another type is wanted."""
    if wanted.endswith("!"):
        return given.endswith("!") and _goes_into(given[:-1], wanted[:-1])
    given = given.removesuffix("!")
    if wanted.startswith("[") and given.startswith("["):
        return _goes_into(given[1:-1], wanted[1:-1])
    return given == wanted


def _base(kind: TypeRef) -> str:
    while kind.of is not None:
        kind = kind.of
    return kind.name or ""


def _shown(value: Any) -> str:
    return repr(as_json(value))[:100]
