"""Options that several groups of commands have."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slipstream import settings
from slipstream.entities import ViewType
from slipstream.errors import InvalidParameterError

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


def log_format_option(envvar: Sequence[str] = ()) -> Callable[[FuncT], FuncT]:
    """Return the option that says how a server writes its log."""
    return click.option(
        "--log-format",
        envvar=list(envvar) or None,
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Log lines on standard error as text for people, or as JSON for machines.",
    )


def server_token(auth: str) -> str | None:
    """Return what clients of a server must send with `--auth token`; `None` for other kinds of `--auth`."""
    if auth != "token":
        return None
    # Files and shells append line ends; clients cut them off, too.
    token = (settings.SERVER_TOKEN.get() or "").strip()
    if not token:
        raise InvalidParameterError(
            "--auth token needs the token in the environment variable SLIPSTREAM_SERVER_TOKEN. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return token


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
