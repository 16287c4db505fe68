"""Options that several groups of commands have."""

import click

from slipstream.entities import ViewType

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
