"""Reads filters and order items, by recursive descent.

    filter := [clause {AND clause}]
    clause := field op value | field [NOT] IN ( text {, text} [,] ) | field IS [NOT] NULL
    order  := field [ASC | DESC]

Which fields there are, and what each may be compared with, is not known here: see `fields.py`.
"""

from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Comparison, Identifier, Number, OrderTerm, Value
from slipstream.search.lexer import Source, Token, TokenKind, shown, tokenize

MAX_CLAUSES = 100
"""Each clause may be a look-up for every row; and SQLite refuses expressions nested a thousand deep."""

_COMPARATORS = "=, !=, >, >=, <, <=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL"
_SYMBOLS = frozenset({"=", "!=", ">", ">=", "<", "<="})


def parse_filter(text: str | None) -> tuple[list[Comparison], Source]:
    """Parse a filter; nothing or blanks only is the empty list, which matches everything.

    Raises:
        InvalidParameterError: not in the language; the message names position, text and what would be valid.
    """
    source = Source("filter", text or "")
    return _Parser(source).filter(), source


def parse_order(text: str) -> tuple[OrderTerm, Source]:
    """Parse one item of an `order_by` list.

    Raises:
        InvalidParameterError: it is not one field with at most ASC or DESC behind it.
    """
    source = Source("order_by", text)
    return _Parser(source).order(), source


class _Parser:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens = tokenize(source)
        self._at = 0

    def filter(self) -> list[Comparison]:
        comparisons: list[Comparison] = []
        if self._peek().kind is TokenKind.END:
            return comparisons
        while True:
            comparisons.append(self._clause(first=not comparisons))
            token = self._take()
            if token.kind is TokenKind.END:
                return comparisons
            if len(comparisons) == MAX_CLAUSES:
                raise self._source.error(token.position, f"a filter can have at most {MAX_CLAUSES} clauses")
            if token.word == "OR":
                raise self._source.error(
                    token.position, "OR is not supported; clauses can be joined with AND only"
                )
            if token.word != "AND":
                raise self._error(token, "AND or the end")

    def order(self) -> OrderTerm:
        token = self._take()
        identifier = self._field(token, "a field to order by, for example metrics.acc DESC")
        descending = False
        if self._peek().word in ("ASC", "DESC"):
            descending = self._take().word == "DESC"
        end = self._take()
        if end.kind is not TokenKind.END:
            raise self._error(end, "ASC, DESC or the end")
        return OrderTerm(identifier, descending)

    def _clause(self, *, first: bool) -> Comparison:
        token = self._take()
        if token.word in ("AND", "OR"):
            raise self._source.error(token.position, f"a clause is missing before {token.word}")
        if token.word == "NOT":
            raise self._source.error(
                token.position, "NOT before a clause is not supported; use !=, NOT IN or IS NOT NULL"
            )
        if token.kind is TokenKind.OPEN:
            raise self._source.error(
                token.position, "parentheses are not supported, except around the list of IN"
            )
        if token.kind is TokenKind.END and not first:
            raise self._source.error(token.position, "a clause is missing after AND")
        identifier = self._field(token, "a field, for example metrics.acc or tags.`my key`")
        operator = self._take()
        comparator = self._comparator(operator)
        value_token = self._peek()
        value: Value = None
        if comparator in ("IN", "NOT IN"):
            value = self._list(comparator)
        elif comparator not in ("IS NULL", "IS NOT NULL"):
            value = self._value(comparator)
        return Comparison(
            identifier, comparator, value, operator.position, value_token.position, value_token.text
        )

    def _comparator(self, token: Token) -> str:
        if token.kind is TokenKind.OPERATOR and token.text in _SYMBOLS:
            return token.text
        match token.word:
            case "LIKE" | "ILIKE" | "IN":
                return token.word
            case "NOT":
                following = self._take()
                if following.word == "IN":
                    return "NOT IN"
                raise self._error(following, "IN after NOT")
            case "IS":
                following = self._take()
                negation = ""
                if following.word == "NOT":
                    negation = "NOT "
                    following = self._take()
                if following.word == "NULL":
                    return f"IS {negation}NULL"
                raise self._error(following, "NULL or NOT NULL after IS")
            case "BETWEEN":
                raise self._source.error(
                    token.position, "BETWEEN is not supported; use >= and <= joined with AND"
                )
            case _:
                pass
        if token.text == "==":
            raise self._source.error(token.position, "'==' is not a comparator; use =")
        if token.text == "<>":
            raise self._source.error(token.position, "'<>' is not a comparator; use !=")
        raise self._error(token, f"a comparator ({_COMPARATORS})")

    def _value(self, comparator: str) -> str | Number:
        token = self._take()
        if token.kind is TokenKind.TEXT:
            return token.value
        if token.kind is TokenKind.NUMBER:
            return Number(token.text)
        if token.kind is TokenKind.IDENTIFIER:
            raise self._error(
                token, f"a number or a quoted text ('{token.text.strip('`')}') after {comparator}"
            )
        raise self._error(token, f"a value after {comparator}: a number or a quoted text")

    def _list(self, comparator: str) -> tuple[str, ...]:
        token = self._take()
        if token.kind is not TokenKind.OPEN:
            raise self._error(token, f"a list after {comparator}, for example ('a', 'b')")
        values: list[str] = []
        while True:
            token = self._take()
            if token.kind is TokenKind.CLOSE and values:
                return tuple(values)
            if token.kind is not TokenKind.TEXT:
                raise self._error(
                    token, "a quoted text" + (" or )" if values else "; a list must not be empty")
                )
            values.append(token.value)
            token = self._take()
            if token.kind is TokenKind.CLOSE:
                return tuple(values)
            if token.kind is not TokenKind.COMMA:
                raise self._error(token, "',' or ')' in a list")

    def _field(self, token: Token, expected: str) -> Identifier:
        if token.identifier is None:
            raise self._error(token, expected)
        return token.identifier

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind is not TokenKind.END:
            self._at += 1
        return token

    def _error(self, token: Token, expected: str) -> InvalidParameterError:
        found = "the end" if token.kind is TokenKind.END else shown(token.text)
        return self._source.error(token.position, f"found {found}, expected {expected}")
