"""`docs/reference/search.md` names all that can be filtered and ordered by, and its examples work."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.search import fields, sql

PAGE = (Path(__file__).parents[2] / "docs/reference/search.md").read_text("utf-8")
SECTIONS: dict[str, tuple[fields.Resource, Callable[..., sql.Query]]] = {
    "Runs": (fields.RUNS, sql.compile_runs),
    "Experiments": (fields.EXPERIMENTS, sql.compile_experiments),
    "Registered models": (fields.REGISTERED_MODELS, sql.compile_registered_models),
    "Model versions": (fields.MODEL_VERSIONS, sql.compile_model_versions),
    "Logged models": (fields.LOGGED_MODELS, sql.compile_logged_models),
}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the first table of a section."""
    lines = [line for line in section(title).split("\n\n")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return [name.strip("` ") for name in re.findall(r"``.+?``|`[^`]+`", cell)]


@pytest.mark.parametrize("title", SECTIONS)
def test_the_tables_are_those_of_the_code(title: str) -> None:
    resource, _ = SECTIONS[title]
    documented: dict[tuple[str, str], tuple[str, ...]] = {}
    entity: list[str] = []
    for first, keys, comparators, _ in rows(title):
        entity = names(first) or entity
        for prefix in entity:
            for key in ["any"] if keys == "any" else names(keys):
                documented[prefix, key] = tuple(names(comparators))
    actual: dict[tuple[str, str], tuple[str, ...]] = {}
    for group in resource.groups:
        for prefix in group.prefixes:
            known = {"any": group.fields} if isinstance(group.fields, fields.Field) else group.fields
            for key, field in known.items():
                actual[prefix, key] = field.comparators
    assert documented == actual


@pytest.mark.parametrize("title", SECTIONS)
def test_all_that_can_be_ordered_by_is_named(title: str) -> None:
    resource, _ = SECTIONS[title]
    text = section(title)
    orders = text[text.index("rder by " if title != "Logged models" else "`order_by`") :]
    for group in resource.groups:
        if isinstance(group.sorts, fields.KeyedSort):
            assert group.prefixes[-1] in orders.replace("parameters", "params")
        elif group.sorts is not None:
            assert set(group.sorts) <= set(names(orders))


@pytest.mark.parametrize("title", SECTIONS)
def test_examples_compile(title: str) -> None:
    _, compiler = SECTIONS[title]
    for block in re.findall(r"```sql\n(.*?)```", section(title), re.DOTALL):
        for line in block.splitlines():
            compiler(line, [], None)


def test_the_python_example_and_the_error_message_are_real() -> None:
    example: dict[str, Any] = {}
    code = re.findall(r"```python\nslipstream.search_runs\((.*?)\)\n```", PAGE, re.DOTALL)[0]
    exec(f"example.update({code})", {"example": example})
    sql.compile_runs(example["filter_string"], example["order_by"], None)
    with pytest.raises(InvalidParameterError) as caught:
        sql.compile_runs("metrics.acc > 0.1 OR metrics.acc < 0", [], None)
    assert str(caught.value) in PAGE
