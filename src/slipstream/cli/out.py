"""All printing of the command line: results on stdout, everything else on stderr."""

import json
from collections.abc import Sequence
from typing import Any

import click

_GAP = "  "
_NARROWEST = 4


def line(text: str) -> None:
    """Print one line of a result."""
    click.echo(text)


def note(text: str) -> None:
    """Say something that is not a result."""
    click.echo(text, err=True)


def error(text: str) -> None:
    """Print an error as one line, whatever its message holds."""
    click.echo(f"error: {' '.join(text.split())}", err=True)


def document(value: Any, indent: int = 2) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False))


def fields(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, with the colons below each other."""
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}: {value}")


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> None:
    """Print rows in columns as wide as their widest cell, below headers that are underlined."""
    widths = [
        max([len(header) + 2, _NARROWEST, *(len(row[index]) for row in rows)])
        for index, header in enumerate(headers)
    ]
    for cells in (headers, ["-" * width for width in widths], *rows):
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)))
