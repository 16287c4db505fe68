"""GraphQL's language of queries: text -> tree. What a server's schema is written in is left out.

It follows the specification of October 2021, sections 2 and B.
"""

import functools
import re
from typing import TypeAlias, cast

import msgspec

from slipstream.errors import InvalidParameterError

LONGEST = 64 * 1024
DEEPEST = 40
"""Levels of braces and brackets that are read at all."""

_TOKEN = re.compile(
    r"""
    (?P<ignored>[\s,\ufeff]+|\#[^\n\r]*)
    |(?P<name>[_A-Za-z][_0-9A-Za-z]*)
    |(?P<float>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)(?![.\w]))
    |(?P<int>-?(?:0|[1-9][0-9]*)(?![.\w]))
    |(?P<block>\"\"\"(?:[^"\\]|\\\"\"\"|\\|\"(?!\"\"))*\"\"\")
    |(?P<string>"(?:[^"\\\n\r]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\})*")
    |(?P<sign>\.\.\.|[!$&():=@\[\]{|}])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]+\})')
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_DIGITS = 30


class Variable(msgspec.Struct, frozen=True):
    name: str


class EnumName(msgspec.Struct, frozen=True):
    name: str


Value: TypeAlias = "Variable | EnumName | str | int | float | bool | list[Value] | dict[str, Value] | None"


class Directive(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, Value]


class Field(msgspec.Struct, frozen=True):
    alias: str | None
    name: str
    arguments: dict[str, Value]
    directives: list[Directive]
    selections: "list[Selection]"

    @property
    def key(self) -> str:
        """What the answer calls it."""
        return self.alias or self.name


class Spread(msgspec.Struct, frozen=True):
    """What `...name` puts in."""

    fragment: str
    directives: list[Directive]


class Inline(msgspec.Struct, frozen=True):
    """What stands in `... on Type { }`."""

    type_name: str | None
    directives: list[Directive]
    selections: "list[Selection]"


Selection: TypeAlias = Field | Spread | Inline


class TypeRef(msgspec.Struct, frozen=True):
    """`String`, `[String!]`, ... as variables declare it."""

    name: str | None
    of: "TypeRef | None"
    """What it is a list of, if it is one."""
    required: bool

    def __str__(self) -> str:
        return (self.name or f"[{self.of}]") + ("!" if self.required else "")


class VariableDefinition(msgspec.Struct, frozen=True):
    type: TypeRef
    has_default: bool
    default: Value


class Operation(msgspec.Struct, frozen=True):
    kind: str
    """query, mutation or subscription."""
    name: str | None
    variables: dict[str, VariableDefinition]
    directives: list[Directive]
    selections: list[Selection]


class Fragment(msgspec.Struct, frozen=True):
    name: str
    type_name: str
    selections: list[Selection]


class Document(msgspec.Struct, frozen=True):
    operations: list[Operation]
    fragments: dict[str, Fragment]


@functools.lru_cache(maxsize=128)
def parse(text: str) -> Document:
    """Return the tree of a query; pages send the same few again and again.

    Raises:
        InvalidParameterError: it is no query; the message says where.
    """
    if len(text) > LONGEST:
        raise InvalidParameterError(f"The query is longer than {LONGEST} characters. Send a shorter one.")
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._error(place, f"unexpected character {text[place]!a}")
            if match.lastgroup != "ignored":
                self._tokens.append((match.lastgroup or "", match[0], place))
            place = match.end()
        self._tokens.append(("end", "", len(text)))
        self._next = 0
        self._depth = 0

    def document(self) -> Document:
        operations: list[Operation] = []
        fragments: dict[str, Fragment] = {}
        while self._peek()[0] != "end":
            if self._peek()[1] == "fragment":
                fragment = self._fragment()
                if fragment.name in fragments:
                    raise InvalidParameterError(f"There can be only one fragment named '{fragment.name}'.")
                fragments[fragment.name] = fragment
            else:
                operations.append(self._operation())
        if not operations:
            raise self._error(self._peek()[2], "expected a query")
        names = [operation.name for operation in operations]
        if len(set(names)) != len(names) or (None in names and len(names) > 1):
            raise InvalidParameterError(
                "Each operation of a query needs a name of its own when there are several."
            )
        return Document(operations, fragments)

    # -- tokens -------------------------------------------------------------------------------------

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _take(self, kind: str, text: str | None = None) -> str:
        found_kind, found, place = self._peek()
        if found_kind != kind or (text is not None and found != text):
            raise self._error(place, f"expected {text or f'a {kind}'}, found {found[:40] or 'the end'!r}")
        self._next += 1
        return found

    def _skip(self, text: str) -> bool:
        if self._peek()[:2] == ("sign", text):
            self._next += 1
            return True
        return False

    def _error(self, place: int, what: str) -> InvalidParameterError:
        line = self._text.count("\n", 0, place) + 1
        column = place - self._text.rfind("\n", 0, place)
        return InvalidParameterError(f"Syntax Error: {what} at line {line}, column {column}.")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InvalidParameterError(
                f"The query is nested more than {DEEPEST} levels deep. Send it flatter."
            )

    # -- definitions --------------------------------------------------------------------------------

    def _operation(self) -> Operation:
        if self._peek()[1] == "{":
            return Operation("query", None, {}, [], self._selections())
        kind = self._take("name")
        if kind not in ("query", "mutation", "subscription"):
            raise self._error(self._tokens[self._next - 1][2], f"unexpected name {kind[:40]!r}")
        name = self._take("name") if self._peek()[0] == "name" else None
        variables = self._variable_definitions()
        return Operation(kind, name, variables, self._directives(), self._selections())

    def _fragment(self) -> Fragment:
        self._take("name", "fragment")
        name = self._take("name")
        if name == "on":
            raise self._error(self._tokens[self._next - 1][2], "unexpected name 'on'")
        self._take("name", "on")
        type_name = self._take("name")
        self._directives()
        return Fragment(name, type_name, self._selections())

    def _variable_definitions(self) -> dict[str, VariableDefinition]:
        found: dict[str, VariableDefinition] = {}
        if not self._skip("("):
            return found
        while True:
            self._take("sign", "$")
            name = self._take("name")
            if name in found:
                raise InvalidParameterError(f"There can be only one variable named '${name}'.")
            self._take("sign", ":")
            kind = self._type()
            has_default = self._skip("=")
            default = self._value(constant=True) if has_default else None
            self._directives()
            found[name] = VariableDefinition(kind, has_default, default)
            if self._skip(")"):
                return found

    def _type(self) -> TypeRef:
        if self._skip("["):
            self._enter()
            inner = self._type()
            self._take("sign", "]")
            self._depth -= 1
            return TypeRef(None, inner, self._skip("!"))
        return TypeRef(self._take("name"), None, self._skip("!"))

    # -- selections ---------------------------------------------------------------------------------

    def _selections(self) -> list[Selection]:
        self._take("sign", "{")
        self._enter()
        found = [self._selection()]
        while not self._skip("}"):
            found.append(self._selection())
        self._depth -= 1
        return found

    def _selection(self) -> Selection:
        if not self._skip("..."):
            name = self._take("name")
            alias = None
            if self._skip(":"):
                alias, name = name, self._take("name")
            arguments = self._arguments(constant=False)
            directives = self._directives()
            return Field(
                alias, name, arguments, directives, self._selections() if self._peek()[1] == "{" else []
            )
        kind, text, _ = self._peek()
        if kind == "name" and text != "on":
            return Spread(self._take("name"), self._directives())
        type_name = None
        if kind == "name":
            self._take("name", "on")
            type_name = self._take("name")
        return Inline(type_name, self._directives(), self._selections())

    def _directives(self) -> list[Directive]:
        found: list[Directive] = []
        while self._skip("@"):
            found.append(Directive(self._take("name"), self._arguments(constant=False)))
        return found

    def _arguments(self, *, constant: bool) -> dict[str, Value]:
        if not self._skip("("):
            return {}
        return self._pairs(")", "argument", constant=constant)

    def _pairs(self, end: str, what: str, *, constant: bool) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not self._skip(end):
            name = self._take("name")
            if name in found:
                raise InvalidParameterError(f"There can be only one {what} named '{name}'.")
            self._take("sign", ":")
            found[name] = self._value(constant=constant)
        return found

    # -- values -------------------------------------------------------------------------------------

    def _value(self, *, constant: bool) -> Value:
        kind, text, place = self._peek()
        self._next += 1
        if kind == "int":
            if len(text) > _DIGITS:
                raise self._error(place, "a number has too many digits")
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "string":
            return self._unescape(text[1:-1], place)
        if kind == "block":
            return _unindent(text[3:-3].replace('\\"""', '"""'))
        if kind == "name":
            named: dict[str, Value] = {"true": True, "false": False, "null": None}
            return named[text] if text in named else EnumName(text)
        if text == "$" and not constant:
            return Variable(self._take("name"))
        if text in ("[", "{"):
            self._enter()
            if text == "{":
                value: Value = self._pairs("}", "input field", constant=constant)
            else:
                value = []
                while not self._skip("]"):
                    value.append(self._value(constant=constant))
            self._depth -= 1
            return value
        raise self._error(place, f"expected a value, found {text[:40] or 'the end'!r}")

    def _unescape(self, text: str, place: int) -> str:
        def plain(match: re.Match[str]) -> str:
            code = match[1]
            if code[0] != "u":
                return _PLAIN[code]
            number = int(code.strip("u{}"), 16)
            if number > 0x10FFFF:
                raise self._error(place, "an escape is no character")
            return chr(number)

        value = _ESCAPE.sub(plain, text)
        try:  # pairs of surrogates, as JSON has them, are one character; halves are none
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise self._error(place, "an escape is half of a surrogate pair") from error


def _unindent(text: str) -> str:
    """Return a block string without the indentation that all of its lines share, as the specification has it."""
    lines = re.split(r"\r\n|\n|\r", text)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    shared = min(indents, default=0)
    lines[1:] = [line[shared:] for line in lines[1:]]
    while lines and not lines[0].strip(" \t"):
        del lines[0]
    while lines and not lines[-1].strip(" \t"):
        del lines[-1]
    return "\n".join(lines)


def as_json(value: Value) -> object:
    """Return a value without variables as JSON has it; enums as their names."""
    if isinstance(value, EnumName):
        return value.name
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    return cast("object", value)
