"""Cuts a filter or an order item into tokens.

Identifiers come out whole (`metrics."val/rmse"` is one token), so that the parser need not know that a
quote after a dot opens a key, whereas elsewhere it opens a value. No word is reserved here: `tags.from`
and `params.like` are identifiers like any other.
"""

import enum
import re

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Identifier

_MAX_SHOWN = 60

_BLANK = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d][\w.\-]*")
_KEY = re.compile(r"[\w.\-]+")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_OPERATOR = re.compile(r"==|<>|!=|>=|<=|=|>|<")
_GLUED = re.compile(r"[\w.`\"']")
# PostgreSQL stores no NUL, and neither database takes half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class TokenKind(enum.Enum):
    IDENTIFIER = "a field"
    TEXT = "a text"
    NUMBER = "a number"
    OPERATOR = "an operator"
    OPEN = "("
    CLOSE = ")"
    COMMA = ","
    END = "the end"


class Token(msgspec.Struct, frozen=True):
    kind: TokenKind
    text: str
    """Its spelling in the source."""
    position: int
    """Counted from 1."""
    value: str = ""
    """A text without its quotes."""
    identifier: Identifier | None = None
    """Set where the token can name a field: always for a bare word, and for a text in `"` or backticks."""

    @property
    def word(self) -> str:
        """The token in upper case if it is a bare word, else an empty text; keywords are found by it."""
        return self.text.upper() if self.kind is TokenKind.IDENTIFIER and self.text.isidentifier() else ""


class Source:
    """A text with its name for messages (`filter`, `order_by`)."""

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text

    def error(self, position: int, problem: str) -> InvalidParameterError:
        """Make the error that points at `position`."""
        return InvalidParameterError(
            f"Invalid {self.what} at position {position}: {problem}. Got: {shown(self.text)}"
        )


def shown(text: str) -> str:
    """Quote a piece of the user's text for a message, cut to a readable length."""
    return repr(text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…")


def tokenize(source: Source) -> list[Token]:
    """Cut `source` into tokens; the last one is always END.

    Raises:
        InvalidParameterError: a character that begins no token, or a quote that is not closed.
    """
    text = source.text
    if bad := _UNSTORABLE.search(text):
        raise source.error(
            bad.start() + 1, f"the character U+{ord(bad[0]):04X} cannot be stored, so nothing can match it"
        )
    tokens: list[Token] = []
    at = 0
    while True:
        if blank := _BLANK.match(text, at):
            at = blank.end()
        if at == len(text):
            tokens.append(Token(TokenKind.END, "", at + 1))
            return tokens
        token, at = _next(source, at)
        tokens.append(token)


def _next(source: Source, at: int) -> tuple[Token, int]:
    text = source.text
    char = text[at]
    if char in "'\"`":
        return _quoted(source, at)
    if match := _WORD.match(text, at):
        return _word(source, at, match.end())
    if match := _NUMBER.match(text, at):
        end = match.end()
        if _GLUED.match(text, end):
            raise source.error(
                at + 1, f"{shown(text[at : end + 1])} is neither a number nor a field; quote texts: 'text'"
            )
        return Token(TokenKind.NUMBER, match[0], at + 1), end
    if match := _OPERATOR.match(text, at):
        return Token(TokenKind.OPERATOR, match[0], at + 1), match.end()
    for kind in (TokenKind.OPEN, TokenKind.CLOSE, TokenKind.COMMA):
        if char == kind.value:
            return Token(kind, char, at + 1), at + 1
    if char == ";":
        raise source.error(at + 1, "found ';', but there can be only one expression")
    raise source.error(
        at + 1,
        f"unexpected character {char!r}; quote a text value as 'value', and a key with special characters "
        "as metrics.`my/key`",
    )


def _closing(source: Source, at: int) -> int:
    end = source.text.find(source.text[at], at + 1)
    if end < 0:
        raise source.error(at + 1, f"the quote {source.text[at]} is not closed")
    return end


def _quoted(source: Source, at: int) -> tuple[Token, int]:
    text = source.text
    closing = _closing(source, at)
    value = text[at + 1 : closing]
    end = closing + 1
    if text[at] == "'":
        return Token(TokenKind.TEXT, text[at:end], at + 1, value), end
    if text.startswith(".", end):
        # `metrics`.acc: a quoted entity
        key, key_end = _key(source, end + 1)
        spelling = text[at:key_end]
        identifier = Identifier(value, key, at + 1, spelling)
        return Token(TokenKind.IDENTIFIER, spelling, at + 1, identifier=identifier), key_end
    identifier = Identifier(None, value, at + 1, text[at:end])
    kind = TokenKind.IDENTIFIER if text[at] == "`" else TokenKind.TEXT
    return Token(kind, text[at:end], at + 1, value, identifier), end


def _key(source: Source, at: int) -> tuple[str, int]:
    """Read the key that begins at `at`, just after an entity and its dot."""
    text = source.text
    if text[at : at + 1] in ("`", '"'):
        closing = _closing(source, at)
        key, end = text[at + 1 : closing], closing + 1
        if _GLUED.match(text, end):
            raise source.error(
                end + 1, f"found {shown(text[end])} directly after a quoted key; quote the whole key"
            )
    elif match := _KEY.match(text, at):
        key, end = match[0], match.end()
    else:
        key, end = "", at
    if not key:
        raise source.error(
            at + 1, "a key is missing after the dot; write for example params.lr or params.`my key`"
        )
    return key, end


def _word(source: Source, at: int, end: int) -> tuple[Token, int]:
    text = source.text
    entity, dot, key = text[at:end].partition(".")
    if dot and not key:
        key, end = _key(source, end)
    elif text[end : end + 1] in ("`", '"', "'") and dot:
        raise source.error(
            end + 1, f"found {shown(text[end])} inside a key; quote the whole key: {entity}.`my key`"
        )
    spelling = text[at:end]
    identifier = (
        Identifier(entity, key, at + 1, spelling) if dot else Identifier(None, entity, at + 1, spelling)
    )
    return Token(TokenKind.IDENTIFIER, spelling, at + 1, identifier=identifier), end
