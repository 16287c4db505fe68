"""Compiles a filter, an order and a page token to the parts of one SELECT.

The same SQL runs on SQLite and PostgreSQL. User text never enters it: every function here that builds
SQL is typed `LiteralString`, and values go to `params`.
"""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.search import tokens
from slipstream.search.ast import Comparison, OrderTerm
from slipstream.search.conditions import (
    Params,
    compile_clause,
    compile_datasets,
    find_group,
    numeral,
    read_dataset,
    unknown_error,
)
from slipstream.search.fields import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    KeyedSort,
    KeyKind,
    Resource,
    Sort,
)
from slipstream.search.lexer import Source, shown
from slipstream.search.parser import parse_filter, parse_order

MAX_ORDER_TERMS = 20
"""Each metric, param or tag to order by is one more table to join; SQLite joins at most 64."""

_PROMPT_TAG = "mlflow.prompt.is_prompt"


class Order(msgspec.Struct, frozen=True):
    """One key of the ORDER BY; its expression is never NULL."""

    expr: LiteralString
    descending: bool
    kind: KeyKind


class OrderField(msgspec.Struct, frozen=True):
    """One field to order by, as whoever orders without SQL needs it."""

    group: str
    """The group's name: `attribute`, `metric`, ..."""
    key: str
    """The user's key, or the column of the main table."""
    descending: bool
    kind: KeyKind
    ranked: bool
    """Whether a first key of the ORDER BY puts those with a value before those without."""


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
    comparisons: tuple[Comparison, ...] = ()
    """The filter itself, and below its order and the values of the token: the same search for those who have no SQL."""
    fields: tuple[OrderField, ...] = ()
    after: tuple[object, ...] | None = None

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
    params = Params()
    restriction = compile_datasets(params, datasets)
    clauses: list[LiteralString] = [
        compile_clause(LOGGED_MODELS, comparison, source, params, restriction) for comparison in comparisons
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
    params = Params()
    clauses: list[LiteralString] = []
    hide_prompts = not_prompts != "" and not _asks_for_prompts(comparisons)
    for comparison in comparisons:
        clause = compile_clause(resource, comparison, source, params)
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
    return ordering.query(clauses, page_token, comparisons=comparisons)


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


# -- order and pages ----------------------------------------------------------------------------------------


class _Ordering:
    """Collects the keys of the ORDER BY and the joins that they need."""

    def __init__(self, resource: Resource, params: Params) -> None:
        self._resource = resource
        self._params = params
        self._orders: list[Order] = []
        self._joins: list[LiteralString] = []
        self._terms: dict[tuple[object, ...], bool] = {}
        """What is ordered by, and whether descending; it is hashed into the token."""
        self._fields: list[OrderField] = []
        self._complete = False
        """Whether no two rows can be equal in all keys so far; more keys would change nothing."""

    def add(self, term: OrderTerm, source: Source) -> None:
        """Append what the user asked for."""
        identifier = term.identifier
        group = find_group(self._resource, identifier, source)
        sorts = group.sorts
        if isinstance(sorts, KeyedSort):
            self._note((group.name, identifier.key), term.descending, identifier.text)
            self._add_joined(sorts, group.name, identifier.key, term.descending)
            return
        if sorts is None:
            raise source.error(
                identifier.position, f"{self._resource.name} cannot be ordered by a {group.name}"
            )
        sort = sorts.get(identifier.key)
        if sort is None:
            raise unknown_error(self._resource, group, identifier, source, sorts, "order")
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
        self,
        clauses: Sequence[LiteralString],
        page_token: str | None,
        binding: object = None,
        comparisons: Sequence[Comparison] = (),
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
        values: tuple[object, ...] | None = None
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
            comparisons=tuple(comparisons),
            fields=tuple(self._fields),
            after=values,
        )

    def _note(self, identity: tuple[object, ...], descending: bool, text: str) -> None:
        if identity in self._terms:
            raise InvalidParameterError(
                f"Invalid order_by: {shown(text)} orders by a field that is already in the list"
            )
        self._terms[identity] = descending

    def _alias(self) -> LiteralString:
        return "o" + numeral(len(self._joins))

    def _add_column(self, sort: Sort, descending: bool) -> None:
        if self._complete:
            return
        column = sort.sql.rpartition(".")[2]
        self._fields.append(OrderField("attribute", column, descending, sort.kind, sort.nullable))
        if sort.nullable:
            self._orders.append(Order(f"CASE WHEN {sort.sql} IS NULL THEN 1 ELSE 0 END", False, "integer"))
            self._orders.append(Order(_coalesce(sort.sql, sort.kind), descending, sort.kind))
        else:
            self._orders.append(Order(sort.sql, descending, sort.kind))
        self._complete = sort.unique

    def _add_joined(self, sort: KeyedSort, group: str, key: str, descending: bool) -> None:
        if self._complete:
            return
        self._fields.append(OrderField(group, key, descending, sort.kind, ranked=True))
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
    dataset = read_dataset(item)
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
