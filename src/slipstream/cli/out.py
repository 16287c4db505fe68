"""All printing of the command line: results on stdout, everything else on stderr."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

_GAP = "  "
_NARROWEST = 4
_OBEYED = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""Control characters, ends of lines, turns of the direction of writing, halves of characters."""

_SHOWN = re.compile("(?:[\n\t\r\x08]|\x1b\\[[0-9;]{0,20}[mK])+")
"""Ends of lines, progress bars, colours."""
_SHOWN_OR_NOT = re.compile(f"({_SHOWN.pattern})")


def plain(text: str) -> str:
    """Return a text on one line that no terminal obeys: names and values are whatever clients gave."""
    return _OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def line(text: str) -> None:
    """Print one line of a result, or several."""
    click.echo("\n".join(map(plain, text.split("\n"))))


def data(text: str) -> None:
    """Print what programs read, as it is."""
    click.echo(text)


def printed(text: str) -> None:
    """Print what a program printed: as it is, but on a terminal only what moves no further than within its line."""
    if sys.stdout.isatty():
        text = "".join(
            part if _SHOWN.fullmatch(part) else plain(part) for part in _SHOWN_OR_NOT.split(text) if part
        )
    click.echo(text, nl=False)


def note(text: str) -> None:
    """Say something that is not a result."""
    click.echo("\n".join(map(plain, text.split("\n"))), err=True)


def error(text: str) -> None:
    """Print an error as one line, whatever its message holds."""
    click.echo(f"error: {plain(' '.join(text.split()))}", err=True)


def document(value: Any, indent: int = 2) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False))


def fields(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, with the colons below each other."""
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}: {plain(str(value))}")


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> None:
    """Print rows in columns as wide as their widest cell, below headers that are underlined."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [
        max([len(header) + 2, _NARROWEST, *(len(row[index]) for row in rows)])
        for index, header in enumerate(headers)
    ]
    for cells in (headers, ["-" * width for width in widths], *rows):
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)))


def save(chunks: Iterable[bytes], output: Path | None, *, binary: bool) -> None:
    """Write bytes to a file, which is there only once it is whole, or to stdout.

    Raises:
        UsageError: they are no text, and stdout is a terminal; or nothing can be written there.
    """
    if output is None:
        if binary and sys.stdout.isatty():
            raise click.UsageError(
                "This format is no text for a terminal: name a file with -o, or use a pipe."
            )
        stream = sys.stdout.buffer
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        return
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        opened = part.open("wb")
    except OSError as error:  # the unfinished file is nothing that the user has named
        raise click.BadParameter(
            f"cannot write '{output}': {error.strerror}. Name another file.", param_hint="'--output'"
        ) from error
    try:
        with opened as file:
            for chunk in chunks:
                file.write(chunk)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
