"""Cutting filters into tokens."""

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Identifier
from slipstream.search.lexer import Source, TokenKind, shown, tokenize


def tokens(text: str) -> list[tuple[TokenKind, str]]:
    return [(token.kind, token.text) for token in tokenize(Source("filter", text))]


def field(text: str) -> tuple[str | None, str]:
    token = tokenize(Source("filter", text))[0]
    assert token.identifier is not None
    assert token.identifier.text == text
    return token.identifier.entity, token.identifier.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name", (None, "name")),
        ("metrics.acc", ("metrics", "acc")),
        ("params.opt.name", ("params", "opt.name")),
        ("params.1st", ("params", "1st")),
        ("metrics.val-loss", ("metrics", "val-loss")),
        ("tags.from", ("tags", "from")),
        ("tags.ORDER", ("tags", "ORDER")),
        ("tags.and", ("tags", "and")),
        ("tags.größe", ("tags", "größe")),
        ("tags.`Mixed Key`", ("tags", "Mixed Key")),
        ('metrics."val/rmse"', ("metrics", "val/rmse")),
        ("tags.`a.b`", ("tags", "a.b")),
        ("tags.`it's`", ("tags", "it's")),
        ("`metrics`.acc", ("metrics", "acc")),
        ("`metrics`.`a b`", ("metrics", "a b")),
        ("`run name`", (None, "run name")),
        ('"run name"', (None, "run name")),
        ("`metrics.acc`", (None, "metrics.acc")),
    ],
)
def test_identifiers(text: str, expected: tuple[str | None, str]) -> None:
    assert field(text) == expected


@pytest.mark.parametrize(
    "text", ["1", "1.", "-3", "0.5", ".5", "-.5", "1e-2", "1E+10", "1.5e3", "99999999999999999999999"]
)
def test_numbers(text: str) -> None:
    assert tokens(text) == [(TokenKind.NUMBER, text), (TokenKind.END, "")]


def test_blanks_are_optional_around_operators() -> None:
    kinds = [kind for kind, _ in tokens("metrics.acc>=-1 AND a='x'")]
    assert kinds == [
        TokenKind.IDENTIFIER,
        TokenKind.OPERATOR,
        TokenKind.NUMBER,
        TokenKind.IDENTIFIER,
        TokenKind.IDENTIFIER,
        TokenKind.OPERATOR,
        TokenKind.TEXT,
        TokenKind.END,
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a'", "a"),
        ('"b"', "b"),
        ("''", ""),
        ('"o\'neil"', "o'neil"),
        (r"'100\%'", r"100\%"),
        ("'a AND b'", "a AND b"),
    ],
)
def test_texts_have_no_escapes(text: str, value: str) -> None:
    token = tokenize(Source("filter", text))[0]
    assert (token.kind, token.value) == (TokenKind.TEXT, value)


def test_double_quotes_can_be_a_field_or_a_value_but_single_quotes_only_a_value() -> None:
    assert tokenize(Source("filter", '"a"'))[0].identifier == Identifier(None, "a", 1, '"a"')
    assert tokenize(Source("filter", "'a'"))[0].identifier is None


def test_only_bare_words_are_keywords() -> None:
    assert [token.word for token in tokenize(Source("filter", "and `and` 'and' tags.and And"))] == [
        "AND",
        "",
        "",
        "",
        "AND",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x", "position 8: the quote ' is not closed"),
        ("tags.`a = 1", "position 6: the quote ` is not closed"),
        ("a = 1; b = 2", "position 6: found ';', but there can be only one expression"),
        ("tags.Weird/x = 'y'", "position 11: unexpected character '/'; quote"),
        ("a ~ 1", "position 3: unexpected character '~'"),
        ("a + 1", "position 3: unexpected character '\\+'"),
        ("a = 1x", "position 5: '1x' is neither a number nor a field; quote texts"),
        ("a = 1.2.3", "position 5: '1.2.' is neither a number"),
        ("params. = 'x'", "position 8: a key is missing after the dot"),
        ("params.`` = 'x'", "position 8: a key is missing after the dot"),
        ("tags.`a`b = 'x'", "position 9: found 'b' directly after a quoted key"),
        ("tags.a`b` = 'x'", "position 7: found '`' inside a key; quote the whole key: tags.`my key`"),
        ("tags.'a' = 'x'", "position 6: a key is missing"),
        ("name = 'a\0b'", r"position 10: the character U\+0000 cannot be stored"),
        ("name = 'a\ud800'", r"position 10: the character U\+D800 cannot be stored"),
    ],
)
def test_rejections_name_position_and_text(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"Invalid filter at {message}"):
        tokenize(Source("filter", text))


def test_messages_cut_long_texts() -> None:
    assert len(shown("x" * 10_000)) < 100
    with pytest.raises(InvalidParameterError) as caught:
        tokenize(Source("filter", "name = '" + "x" * 10_000))
    assert len(str(caught.value)) < 200
