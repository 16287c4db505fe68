"""Compiles a filter, an order and a page token to the parts of one SELECT.

The same SQL runs on SQLite and PostgreSQL. User text never enters it: every function here that builds
SQL is typed `LiteralString`, and values go to `params`.

Over 600 lines, but one idea: where, joins, order and paging of one query share its parameters and key
expressions, and none of them makes sense without the others.
"""

import math
from collections.abc import Mapping, Sequence
from typing import LiteralString

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.search import tokens
from slipstream.search.ast import Comparison, Identifier, Number, OrderTerm
from slipstream.search.fields import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Accepts,
    Field,
    Group,
    KeyedSort,
    KeyKind,
    Resource,
    Sort,
)
from slipstream.search.lexer import Source, shown
from slipstream.search.parser import parse_filter, parse_order

MAX_ORDER_TERMS = 20
"""Each metric, param or tag to order by is one more table to join; SQLite joins at most 64."""
MAX_PATTERN = 8000
"""SQLite refuses longer LIKE patterns (it counts 50,000 bytes)."""

MAX_MERGED = 6
"""How many subqueries PostgreSQL may merge into the join order that it plans; the time for it grows with
the fourth power (6: milliseconds; 64: seconds; 200: minutes, and all memory)."""

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_INT64 = (-(2**63), 2**63 - 1)
_OPERATORS: dict[str, LiteralString] = {
    "=": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "IN": "IN", "NOT IN": "NOT IN"
}  # fmt: skip
_DIGITS: tuple[LiteralString, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


class Order(msgspec.Struct, frozen=True):
    """One key of the ORDER BY; its expression is never NULL."""

    expr: LiteralString
    descending: bool
    kind: KeyKind


class Query(msgspec.Struct, frozen=True):
    """The parts of `SELECT ..., {keys} FROM ... {joins} WHERE ({where}) ORDER BY {order_by}`."""

    joins: LiteralString
    where: LiteralString
    order_by: LiteralString
    keys: LiteralString
    """Expressions to select after the caller's columns; their values make the next page's token."""
    params: dict[str, object]
    resource: LiteralString
    stamp: str
    kinds: tuple[KeyKind, ...]

    def next_token(self, row_keys: Sequence[object]) -> str:
        """Return the token of the page that begins after a row; `row_keys` are its values of `keys`."""
        return tokens.encode(self.resource, self.stamp, self.kinds, row_keys)


def compile_runs(filter_string: str | None, order_by: Sequence[str], page_token: str | None) -> Query:
    """Compile a search of `runs r`.

    Raises:
        InvalidParameterError: the filter, the order or the token is wrong; the message tells where and how.
    """
    return _compile(RUNS, filter_string, order_by, page_token)


def compile_experiments(filter_string: str | None, order_by: Sequence[str], page_token: str | None) -> Query:
    """Compile a search of `experiments e`; see `compile_runs`."""
    return _compile(EXPERIMENTS, filter_string, order_by, page_token)


def compile_registered_models(
    filter_string: str | None, order_by: Sequence[str], page_token: str | None
) -> Query:
    """Compile a search of `registered_models m`, prompts left out unless asked for; see `compile_runs`."""
    return _compile(
        REGISTERED_MODELS,
        filter_string,
        order_by,
        page_token,
        not_prompts="NOT EXISTS (SELECT 1 FROM registered_model_tags x WHERE x.model = m.id"
        " AND x.key = 'mlflow.prompt.is_prompt' AND x.value = 'true')",
    )


def compile_model_versions(
    filter_string: str | None, order_by: Sequence[str], page_token: str | None
) -> Query:
    """Compile a search of `model_versions v` joined with `registered_models m`; see `compile_runs`.

    A prompt's versions are left out unless asked for. One version with the prompt tag makes a prompt of all.
    """
    return _compile(
        MODEL_VERSIONS,
        filter_string,
        order_by,
        page_token,
        not_prompts="NOT EXISTS (SELECT 1 FROM model_version_tags x WHERE x.model = v.model"
        " AND x.key = 'mlflow.prompt.is_prompt' AND x.value = 'true')",
    )


def compile_logged_models(
    filter_string: str | None,
    order_by: Sequence[Mapping[str, object]],
    page_token: str | None,
    datasets: Sequence[Mapping[str, object]] = (),
    experiment_ids: Sequence[str] = (),
) -> Query:
    """Compile a search of `logged_models l`.

    Args:
        order_by: objects with `field_name`, and perhaps `ascending`, `dataset_name`, `dataset_digest`.
        datasets: objects with `dataset_name` and perhaps `dataset_digest`; only points logged on one of
            them count for conditions on metrics. Without such a condition, models need any point on one.
        experiment_ids: only bound into the token, which MLflow promises to refuse for another query.

    Raises:
        InvalidParameterError: the filter, the order, a dataset or the token is wrong.
    """
    comparisons, source = parse_filter(filter_string)
    params = _Params()
    restriction = _dataset_condition(params, datasets)
    clauses: list[LiteralString] = [
        _clause(LOGGED_MODELS, comparison, source, params, restriction) for comparison in comparisons
    ]
    metrics_named = any(comparison.identifier.entity == "metrics" for comparison in comparisons)
    if restriction and not metrics_named:
        clauses.append(
            f"EXISTS (SELECT 1 FROM logged_model_metrics x WHERE x.model = l.id AND {restriction})"
        )
    ordering = _Ordering(LOGGED_MODELS, params)
    _check_count(order_by)
    for item in order_by:
        _add_logged_model_order(ordering, item)
    binding = (filter_string or "", [dict(dataset) for dataset in datasets], list(experiment_ids))
    return ordering.query(clauses, page_token, binding)


def _compile(
    resource: Resource,
    filter_string: str | None,
    order_by: Sequence[str],
    page_token: str | None,
    not_prompts: LiteralString = "",
) -> Query:
    comparisons, source = parse_filter(filter_string)
    params = _Params()
    clauses: list[LiteralString] = []
    hide_prompts = not_prompts != "" and not _asks_for_prompts(comparisons)
    for comparison in comparisons:
        clause = _clause(resource, comparison, source, params)
        # A condition on the prompt tag that does not ask for prompts means "models only", and most
        # models do not have the tag: checked like any other, then replaced by `not_prompts`.
        if not (hide_prompts and _is_prompt_condition(comparison)):
            clauses.append(clause)
    if hide_prompts:
        clauses.append(not_prompts)
    ordering = _Ordering(resource, params)
    _check_count(order_by)
    for item in order_by:
        term, order_source = parse_order(item)
        ordering.add(term, order_source)
    return ordering.query(clauses, page_token)


def _is_prompt_condition(comparison: Comparison) -> bool:
    return comparison.identifier.entity in ("tag", "tags") and comparison.identifier.key == _PROMPT_TAG


def _asks_for_prompts(comparisons: Sequence[Comparison]) -> bool:
    for comparison in comparisons:
        if _is_prompt_condition(comparison) and isinstance(comparison.value, str):
            # MLflow decides by the first one.
            return (comparison.comparator, comparison.value.lower()) in (("=", "true"), ("!=", "false"))
    return False


def _check_count(order_by: Sequence[object]) -> None:
    if len(order_by) > MAX_ORDER_TERMS:
        raise InvalidParameterError(
            f"Invalid order_by: it has {len(order_by)} fields; at most {MAX_ORDER_TERMS} are possible"
        )


# -- parameters ---------------------------------------------------------------------------------------------


class _Params:
    """Hands out parameter names; the values are the user's, the names never are."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._subqueries = 0

    def add(self, value: object) -> LiteralString:
        name: LiteralString = "p" + _numeral(len(self.values))
        self.values[name] = value
        return ":" + name

    def add_list(self, values: Sequence[object]) -> LiteralString:
        name: LiteralString = "p" + _numeral(len(self.values)) + "__in"
        self.values[name] = list(values)
        return ":" + name

    def end_exists(self) -> LiteralString:
        """Close an `EXISTS (SELECT ...`, from the seventh on so that PostgreSQL runs it as it stands."""
        self._subqueries += 1
        return ")" if self._subqueries <= MAX_MERGED else " LIMIT 1 OFFSET 0)"


def _numeral(number: int) -> LiteralString:
    """Write a number; `str` would not be a `LiteralString`."""
    text = _DIGITS[number % 10]
    while number := number // 10:
        text = _DIGITS[number % 10] + text
    return text


# -- conditions ---------------------------------------------------------------------------------------------


def _clause(
    resource: Resource,
    comparison: Comparison,
    source: Source,
    params: _Params,
    metric_restriction: LiteralString = "",
) -> LiteralString:
    field = _find_field(resource, comparison.identifier, source)
    comparator = comparison.comparator
    if comparator not in field.comparators:
        raise source.error(
            comparison.position,
            f"{comparison.identifier.text} cannot be compared with {comparator}; "
            f"possible are {', '.join(field.comparators)}",
        )
    if not field.rows:
        return _condition(field, comparison, source, params)
    rows: LiteralString = f"EXISTS (SELECT 1 FROM {field.rows}"
    if field.keyed:
        rows = f"{rows} AND x.key = {params.add(comparison.identifier.key)}"
    if comparator == "IS NULL":
        return f"NOT {rows}{params.end_exists()}"
    if comparator == "IS NOT NULL":
        return f"{rows}{params.end_exists()}"
    condition = _condition(field, comparison, source, params)
    if field.is_nan:
        # NaN is unequal to every number, and nothing else is true of it.
        if comparator == "!=":
            condition = f"({field.is_nan} = 1 OR {condition})"
        else:
            condition = f"{field.is_nan} = 0 AND {condition}"
        if metric_restriction:
            condition = f"{condition} AND {metric_restriction}"
    return f"{rows} AND {condition}{params.end_exists()}"


def _find_group(resource: Resource, identifier: Identifier, source: Source) -> Group:
    if identifier.entity is None:
        return resource.groups[0]
    for group in resource.groups:
        if identifier.entity in group.prefixes:
            return group
    prefixes = ", ".join(group.prefixes[0] for group in resource.groups)
    raise source.error(
        identifier.position,
        f"unknown entity {shown(identifier.entity)} in a search of {resource.name}; valid are {prefixes}",
    )


def _find_field(resource: Resource, identifier: Identifier, source: Source) -> Field:
    group = _find_group(resource, identifier, source)
    if isinstance(group.fields, Field):
        return group.fields
    if field := group.fields.get(identifier.key):
        return field
    raise _unknown_error(resource, group, identifier, source, group.fields, "filter")


def _unknown_error(
    resource: Resource,
    group: Group,
    identifier: Identifier,
    source: Source,
    valid: Mapping[str, object],
    verb: str,
) -> InvalidParameterError:
    hint = ""
    others = [f"{other.prefixes[-1]}.<key>" for other in resource.groups if isinstance(other.fields, Field)]
    if identifier.entity is None and verb == "filter" and others:
        hint = f", and with a prefix {', '.join(others)}"
    return source.error(
        identifier.position,
        f"unknown {group.name} {shown(identifier.key)}; {resource.name} can be {verb}ed by {', '.join(valid)}{hint}",
    )


def _condition(field: Field, comparison: Comparison, source: Source, params: _Params) -> LiteralString:
    """Compare `field.sql` with the value of `comparison`."""
    match field.accepts:
        case Accepts.TEXT | Accepts.TEXT_OR_NUMBER:
            return _text_condition(field, comparison, source, params)
        case Accepts.MEASURE:
            if not isinstance(comparison.value, Number):
                raise _value_error(field, comparison, source)
            return (
                f"{field.sql} {_OPERATORS[comparison.comparator]} {params.add(float(comparison.value.text))}"
            )
        case Accepts.NUMBER | Accepts.INTEGER | Accepts.INTEGER_OR_TEXT | Accepts.QUOTED_INTEGER:
            return _integer_condition(field, comparison, source, params)


def _text_condition(field: Field, comparison: Comparison, source: Source, params: _Params) -> LiteralString:
    value = comparison.value
    if isinstance(value, Number) and field.accepts is Accepts.TEXT_OR_NUMBER:
        value = value.text
    if isinstance(value, tuple):
        return f"{field.sql} {_OPERATORS[comparison.comparator]} {params.add_list(value)}"
    if not isinstance(value, str):
        raise _value_error(field, comparison, source)
    if comparison.comparator not in ("LIKE", "ILIKE"):
        return f"{field.sql} {_OPERATORS[comparison.comparator]} {params.add(value)}"
    if len(value) > MAX_PATTERN:
        raise source.error(
            comparison.value_position,
            f"the pattern has {len(value)} characters, at most {MAX_PATTERN} are possible",
        )
    # The language has no escape character, but PostgreSQL has one unless told otherwise. The control
    # character U+0001 is nobody's; should it occur, doubling keeps its plain meaning.
    pattern = params.add(value.replace("\x01", "\x01\x01"))
    if comparison.comparator == "LIKE":
        return f"{field.sql} LIKE {pattern} ESCAPE '\x01'"
    # On PostgreSQL columns sort by bytes (COLLATE "C"), which knows the case of ASCII letters only.
    # SQLite ignores the collation here; its connection brings a `lower` for all of Unicode.
    return f"LOWER({field.sql} COLLATE \"default\") LIKE LOWER({pattern}) ESCAPE '\x01'"


def _integer_condition(
    field: Field, comparison: Comparison, source: Source, params: _Params
) -> LiteralString:
    value = comparison.value
    if isinstance(value, tuple):
        numbers = [_integer(field, text, comparison, source) for text in value]
        stored = [number for number in numbers if _INT64[0] <= number <= _INT64[1]]
        if not stored:
            return "1=0" if comparison.comparator == "IN" else "1=1"
        return f"{field.sql} {_OPERATORS[comparison.comparator]} {params.add_list(stored)}"
    number: int | float
    if isinstance(value, Number):
        if field.accepts is Accepts.QUOTED_INTEGER or (
            field.accepts is not Accepts.NUMBER and not value.is_integer
        ):
            raise _value_error(field, comparison, source)
        # An integer of many digits is out of every range; as a float it is so cheaply.
        number = int(value.text) if value.is_integer and len(value.text) < 40 else float(value.text)
    elif isinstance(value, str) and field.accepts in (Accepts.INTEGER_OR_TEXT, Accepts.QUOTED_INTEGER):
        number = _integer(field, value, comparison, source)
    else:
        raise _value_error(field, comparison, source)
    bound = _integer_bound(comparison.comparator, number)
    if isinstance(bound, bool):
        return f"{field.sql} IS NOT NULL" if bound else "1=0"
    operator, integer = bound
    return f"{field.sql} {operator} {params.add(integer)}"


def _integer(field: Field, text: str, comparison: Comparison, source: Source) -> int:
    trimmed = text.strip()
    digits = trimmed.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _value_error(field, comparison, source)
    significant = digits.lstrip("0") or "0"
    # Python refuses to read thousands of digits; any number beyond what is stored can stand for them.
    number = int(significant) if len(significant) < 40 else 2**64
    return -number if trimmed.startswith("-") else number


def _integer_bound(comparator: str, number: float) -> tuple[LiteralString, int] | bool:
    """Turn a comparison of an integer column with any number into one with a 64-bit integer.

    Databases would round the column, or refuse the number. Returns the answer itself where it is the
    same for every stored integer.
    """
    if comparator in ("=", "!="):
        exact = isinstance(number, int) or (math.isfinite(number) and number.is_integer())
        if not exact or not _INT64[0] <= number <= _INT64[1]:
            return comparator == "!="
        return _OPERATORS[comparator], int(number)
    upper = comparator in ("<", "<=")
    if number > _INT64[1]:
        return upper
    if number < _INT64[0]:
        return not upper
    if comparator in (">", "<="):
        return _OPERATORS[comparator], math.floor(number)
    return _OPERATORS[comparator], math.ceil(number)


def _value_error(field: Field, comparison: Comparison, source: Source) -> InvalidParameterError:
    value = comparison.value
    found = "a list" if isinstance(value, tuple) else shown(comparison.value_text)
    return source.error(
        comparison.value_position,
        f"found {found}, but {comparison.identifier.text} is compared with {field.accepts.value}",
    )


def _dataset_condition(params: _Params, datasets: Sequence[Mapping[str, object]]) -> LiteralString:
    conditions: list[LiteralString] = []
    for dataset in datasets:
        name, digest = _dataset(dataset)
        if not name:
            raise InvalidParameterError("Invalid datasets: each needs a dataset_name")
        condition: LiteralString = f"x.dataset_name = {params.add(name)}"
        if digest:
            condition = f"{condition} AND x.dataset_digest = {params.add(digest)}"
        conditions.append(condition)
    return f"({' OR '.join(conditions)})" if conditions else ""


def _dataset(item: Mapping[str, object]) -> tuple[str, str]:
    name, digest = item.get("dataset_name") or "", item.get("dataset_digest") or ""
    for field, value in (("dataset_name", name), ("dataset_digest", digest)):
        if not isinstance(value, str):
            raise InvalidParameterError(f"Invalid {field} {shown(str(value))}: it must be a text")
        if "\0" in value:
            raise InvalidParameterError(
                f"Invalid {field} {shown(value)}: it must not contain the character U+0000"
            )
    return str(name), str(digest)


# -- order and pages ----------------------------------------------------------------------------------------


class _Ordering:
    """Collects the keys of the ORDER BY and the joins that they need."""

    def __init__(self, resource: Resource, params: _Params) -> None:
        self._resource = resource
        self._params = params
        self._orders: list[Order] = []
        self._joins: list[LiteralString] = []
        self._terms: dict[tuple[object, ...], bool] = {}
        """What is ordered by, and whether descending; it is hashed into the token."""
        self._complete = False
        """Whether no two rows can be equal in all keys so far; more keys would change nothing."""

    def add(self, term: OrderTerm, source: Source) -> None:
        """Append what the user asked for."""
        identifier = term.identifier
        group = _find_group(self._resource, identifier, source)
        sorts = group.sorts
        if isinstance(sorts, KeyedSort):
            self._note((group.name, identifier.key), term.descending, identifier.text)
            self._add_joined(sorts, identifier.key, term.descending)
            return
        if sorts is None:
            raise source.error(
                identifier.position, f"{self._resource.name} cannot be ordered by a {group.name}"
            )
        sort = sorts.get(identifier.key)
        if sort is None:
            raise _unknown_error(self._resource, group, identifier, source, sorts, "order")
        self.add_column(sort, identifier.text, term.descending)

    def add_column(self, sort: Sort, text: str, descending: bool) -> None:
        self._note((sort.sql,), descending, text)
        self._add_column(sort, descending)

    def add_point(
        self, sort: KeyedSort, text: str, key: str, dataset: tuple[str, str], descending: bool
    ) -> None:
        """Append a logged model's latest point of a metric, perhaps only of those on a dataset."""
        self._note(("metrics", key, *dataset), descending, text)
        if self._complete:
            return
        name, digest = dataset
        condition: LiteralString = f"x.key = {self._params.add(key)}"
        if name:
            condition = f"{condition} AND x.dataset_name = {self._params.add(name)}"
        if digest:
            condition = f"{condition} AND x.dataset_digest = {self._params.add(digest)}"
        alias = self._alias()
        # The last five columns only make the choice between simultaneous points always the same one.
        self._joins.append(
            f"LEFT JOIN (SELECT x.model, x.value, x.is_nan, ROW_NUMBER() OVER (PARTITION BY x.model ORDER BY"
            f" x.timestamp DESC, x.step DESC, x.run, x.value DESC, x.is_nan, x.dataset_name, x.dataset_digest) AS place"
            f" FROM {sort.table} x WHERE {condition}) {alias} ON {alias}.model = {sort.main} AND {alias}.place = 1"
        )
        self._add_value(alias, sort.kind, descending)

    def query(
        self, clauses: Sequence[LiteralString], page_token: str | None, binding: object = None
    ) -> Query:
        """Finish: append the tie-breaks, and the condition that skips what former pages showed."""
        breaks = self._resource.tie_breaks if self._terms else self._resource.default_order
        sorts = self._resource.groups[0].sorts
        assert isinstance(sorts, Mapping)
        for name, descending in breaks:
            sort = sorts[name]
            if (sort.sql,) not in self._terms:
                self._terms[sort.sql,] = descending
                self._add_column(sort, descending)
        kinds: tuple[KeyKind, ...] = tuple(order.kind for order in self._orders)
        stamp = tokens.make_stamp(list(self._terms.items()), binding)
        conditions = list(clauses)
        if page_token:
            values = tokens.decode(page_token, self._resource.name, stamp, kinds)
            conditions.append(self._after(values))
        return Query(
            joins=" ".join(self._joins),
            where=" AND ".join(conditions) or "1=1",
            order_by=", ".join(
                [f"{order.expr} {'DESC' if order.descending else 'ASC'}" for order in self._orders]
            ),
            keys=", ".join([order.expr for order in self._orders]),
            params=self._params.values,
            resource=self._resource.name,
            stamp=stamp,
            kinds=kinds,
        )

    def _note(self, identity: tuple[object, ...], descending: bool, text: str) -> None:
        if identity in self._terms:
            raise InvalidParameterError(
                f"Invalid order_by: {shown(text)} orders by a field that is already in the list"
            )
        self._terms[identity] = descending

    def _alias(self) -> LiteralString:
        return "o" + _numeral(len(self._joins))

    def _add_column(self, sort: Sort, descending: bool) -> None:
        if self._complete:
            return
        if sort.nullable:
            self._orders.append(Order(f"CASE WHEN {sort.sql} IS NULL THEN 1 ELSE 0 END", False, "integer"))
            self._orders.append(Order(_coalesce(sort.sql, sort.kind), descending, sort.kind))
        else:
            self._orders.append(Order(sort.sql, descending, sort.kind))
        self._complete = sort.unique

    def _add_joined(self, sort: KeyedSort, key: str, descending: bool) -> None:
        if self._complete:
            return
        alias = self._alias()
        self._joins.append(
            f"LEFT JOIN {sort.table} {alias} ON {alias}.{sort.owner} = {sort.main} AND {alias}.key = {self._params.add(key)}"
        )
        self._add_value(alias, sort.kind, descending)

    def _add_value(self, alias: LiteralString, kind: KeyKind, descending: bool) -> None:
        """Order by a joined value: first those that have one, then NaN, then those without, in either direction."""
        nan: LiteralString = f"WHEN {alias}.is_nan = 1 THEN 1 " if kind == "number" else ""
        missing: LiteralString = "2" if kind == "number" else "1"
        rank: LiteralString = f"CASE {nan}WHEN {alias}.value IS NULL THEN {missing} ELSE 0 END"
        self._orders.append(Order(rank, False, "integer"))
        self._orders.append(Order(_coalesce(f"{alias}.value", kind), descending, kind))

    def _after(self, values: Sequence[object]) -> LiteralString:
        """Hold for rows that come after the one with these key values."""
        chain: list[LiteralString] = []
        equal: LiteralString = ""
        bound: LiteralString = ""
        for order, value in zip(self._orders, values, strict=True):
            name = self._params.add(value)
            operator: LiteralString = "<" if order.descending else ">"
            # The first key alone says less, but in a way that an index can use.
            bound = bound or f"{order.expr} {operator}= {name} AND "
            chain.append(f"({equal}{order.expr} {operator} {name})")
            equal = f"{equal}{order.expr} = {name} AND "
        return f"{bound}({' OR '.join(chain)})"


def _coalesce(sql: LiteralString, kind: KeyKind) -> LiteralString:
    return f"COALESCE({sql}, '')" if kind == "text" else f"COALESCE({sql}, 0)"


def _add_logged_model_order(ordering: _Ordering, item: Mapping[str, object]) -> None:
    name = item.get("field_name")
    if not isinstance(name, str) or not name:
        raise InvalidParameterError("Invalid order_by: each item needs a field_name, for example metrics.acc")
    ascending = item.get("ascending")
    if ascending is not None and not isinstance(ascending, bool):
        raise InvalidParameterError(
            f"Invalid order_by: ascending of {shown(name)} must be true or false, not {shown(str(ascending))}"
        )
    descending = ascending is False
    dataset = _dataset(item)
    if dataset[1] and not dataset[0]:
        raise InvalidParameterError(
            f"Invalid order_by: {shown(name)} has a dataset_digest but no dataset_name"
        )
    entity, dot, key = name.partition(".")
    attributes, metrics = LOGGED_MODELS.groups[0].sorts, LOGGED_MODELS.groups[1].sorts
    assert isinstance(attributes, Mapping)
    assert isinstance(metrics, KeyedSort)
    if dot:
        key = key.strip("`")
        if entity != "metrics" or not key or "\0" in key:
            raise InvalidParameterError(
                f"Invalid order_by: {shown(name)} is neither an attribute nor metrics.<key>"
            )
        ordering.add_point(metrics, name, key, dataset, descending)
        return
    sort = attributes.get(name)
    if sort is None:
        raise InvalidParameterError(
            f"Invalid order_by: unknown attribute {shown(name)}; logged models can be ordered by "
            f"{', '.join(attributes)} and metrics.<key>"
        )
    ordering.add_column(sort, name, descending)
