"""Options that several groups of commands have."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slipstream.entities import ViewType

FuncT = TypeVar("FuncT", bound=Callable[..., Any])

VIEWS = ("active_only", "deleted_only", "all")

view_option = click.option(
    "--view",
    "-v",
    type=click.Choice(VIEWS, case_sensitive=False),
    default="active_only",
    show_default=True,
    help="Which lifecycle stages to show.",
)

force_option = click.option(
    "--force", is_flag=True, help="Even if a version of a registered model was made from it."
)


def choose_view(view: str) -> ViewType:
    return ViewType[view.upper()]


def format_option(formats: Sequence[str], default: str | None) -> Callable[[FuncT], FuncT]:
    """Return the option that says how a table is written."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats, case_sensitive=False),
        default=default,
        show_default=True,
        help="How the table is written.",
    )


def _require_folder(_context: click.Context, _parameter: click.Parameter, output: Path | None) -> Path | None:
    """Refuse a file in a folder that is not there, before any work is done for it."""
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(
            f"there is no folder '{output.parent}' for the file '{output.name}'. Make it first."
        )
    return output


output_option = click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_require_folder,
    help="File to write to, instead of stdout; it is there only once it is whole.",
)
