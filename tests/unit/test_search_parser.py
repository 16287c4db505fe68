"""The grammar: what is accepted, and what each rejection says."""

import re

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Number, Value
from slipstream.search.parser import MAX_CLAUSES, parse_filter, parse_order


def clauses(text: str | None) -> list[tuple[str | None, str, str, Value]]:
    comparisons, _ = parse_filter(text)
    return [(c.identifier.entity, c.identifier.key, c.comparator, c.value) for c in comparisons]


@pytest.mark.parametrize("text", [None, "", "  ", "\n\t"])
def test_nothing_is_everything(text: str | None) -> None:
    assert clauses(text) == []


@pytest.mark.parametrize("comparator", ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE"])
def test_comparators(comparator: str) -> None:
    assert clauses(f"metrics.acc {comparator.lower()} 'x'") == [("metrics", "acc", comparator, "x")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", (None, "a", "=", Number("1"))),
        ("a = -1e-2", (None, "a", "=", Number("-1e-2"))),
        ("a = 'x'", (None, "a", "=", "x")),
        ('a = "o\'neil"', (None, "a", "=", "o'neil")),
        ("a IN ('x')", (None, "a", "IN", ("x",))),
        ("a in ('x', \"y\")", (None, "a", "IN", ("x", "y"))),
        ("a IN ('x','y',)", (None, "a", "IN", ("x", "y"))),
        ("a NOT IN ('x')", (None, "a", "NOT IN", ("x",))),
        ("a not  in('x')", (None, "a", "NOT IN", ("x",))),
        ("tags.a IS NULL", ("tags", "a", "IS NULL", None)),
        ("tags.a is not null", ("tags", "a", "IS NOT NULL", None)),
        ("and1 = 'x'", (None, "and1", "=", "x")),
        ("tags.like LIKE 'like'", ("tags", "like", "LIKE", "like")),
    ],
)
def test_clauses(text: str, expected: tuple[str | None, str, str, Value]) -> None:
    assert clauses(text) == [expected]


def test_and_joins_clauses_in_any_case() -> None:
    assert [key for _, key, _, _ in clauses("a = 1 AND b IS NULL and c IN ('x') And d LIKE 'y'")] == list(
        "abcd"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.acc", "position 12: found the end, expected a comparator (=, !=,"),
        ("metrics.acc >", "position 14: found the end, expected a value after >: a number or a quoted text"),
        ("a = 1 OR b = 2", "position 7: OR is not supported; clauses can be joined with AND only"),
        ("a = 1 b = 2", "position 7: found 'b', expected AND or the end"),
        ("AND a = 1", "position 1: a clause is missing before AND"),
        ("a = 1 AND", "position 10: a clause is missing after AND"),
        ("a = 1 AND AND b = 2", "position 11: a clause is missing before AND"),
        ("NOT a = 1", "position 1: NOT before a clause is not supported; use !=, NOT IN or IS NOT NULL"),
        ("(a = 1)", "position 1: parentheses are not supported, except around the list of IN"),
        ("a BETWEEN 1 AND 2", "position 3: BETWEEN is not supported; use >= and <= joined with AND"),
        ("a == 1", "position 3: '==' is not a comparator; use ="),
        ("a <> 1", "position 3: '<>' is not a comparator; use !="),
        ("a RLIKE 'x'", "position 3: found 'RLIKE', expected a comparator"),
        ("1 = a", "position 1: found '1', expected a field, for example metrics.acc or tags.`my key`"),
        ("'x' = a", "position 1: found \"'x'\", expected a field"),
        ("a = red", "position 5: found 'red', expected a number or a quoted text ('red') after ="),
        ("a = NaN", "position 5: found 'NaN', expected a number or a quoted text"),
        ("a = Infinity", "position 5: found 'Infinity', expected a number"),
        ("a = `red`", "position 5: found '`red`', expected a number or a quoted text ('red')"),
        ("a = (1)", "position 5: found '(', expected a value after ="),
        ("a IN ()", "position 7: found ')', expected a quoted text; a list must not be empty"),
        ("a IN (,)", "position 7: found ',', expected a quoted text; a list must not be empty"),
        ("a IN 'x'", "position 6: found \"'x'\", expected a list after IN, for example ('a', 'b')"),
        ("a IN (1, 2)", "position 7: found '1', expected a quoted text"),
        ("a IN ('x', 2)", "position 12: found '2', expected a quoted text or )"),
        ("a IN ('x' 'y')", "position 11: found \"'y'\", expected ',' or ')' in a list"),
        ("a IN ('x'", "position 10: found the end, expected ',' or ')' in a list"),
        ("a IN ('x',", "position 11: found the end, expected a quoted text or )"),
        ("a NOT LIKE 'x'", "position 7: found 'LIKE', expected IN after NOT"),
        ("a IS 'x'", "position 6: found \"'x'\", expected NULL or NOT NULL after IS"),
        ("a IS NOT 1", "position 10: found '1', expected NULL or NOT NULL after IS"),
        ("a IS NULL b", "position 11: found 'b', expected AND or the end"),
    ],
)
def test_rejections_say_where_what_and_what_instead(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(f"Invalid filter at {message}")):
        parse_filter(text)


def test_the_number_of_clauses_is_bounded() -> None:
    assert len(clauses(" AND ".join(["a = 1"] * MAX_CLAUSES))) == MAX_CLAUSES
    with pytest.raises(InvalidParameterError, match="at most 100 clauses"):
        parse_filter(" AND ".join(["a = 1"] * (MAX_CLAUSES + 1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.acc", ("metrics", "acc", False)),
        ("metrics.acc ASC", ("metrics", "acc", False)),
        ("metrics.`acc` desc", ("metrics", "acc", True)),
        ('params."a b" Desc', ("params", "a b", True)),
        ("timestamp", (None, "timestamp", False)),
        (" timestamp  DESC ", (None, "timestamp", True)),
        ("asc asc", (None, "asc", False)),
    ],
)
def test_order_terms(text: str, expected: tuple[str | None, str, bool]) -> None:
    term, _ = parse_order(text)
    assert (term.identifier.entity, term.identifier.key, term.descending) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "position 1: found the end, expected a field to order by, for example metrics.acc DESC"),
        ("metrics.acc SIDEWAYS", "position 13: found 'SIDEWAYS', expected ASC, DESC or the end"),
        ("name ASC DESC", "position 10: found 'DESC', expected ASC, DESC or the end"),
        ("name, run_id", "position 5: found ',', expected ASC, DESC or the end"),
        ("run name", "position 5: found 'name', expected ASC, DESC or the end"),
        ("'name'", "position 1: found \"'name'\", expected a field"),
        ("1", "position 1: found '1', expected a field"),
    ],
)
def test_order_rejections(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(f"Invalid order_by at {message}")):
        parse_order(text)
