"""`slipstream envs ...`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from slipstream.cli import out

if TYPE_CHECKING:
    from slipstream.projects.environment_cache import CachedEnvironment

_NAME_LENGTH = 12


@click.group()
def envs() -> None:
    """List and remove the environments that were built for projects and models.

    They are in SLIPSTREAM_ENV_ROOT, by default below SLIPSTREAM_HOME.
    """


@envs.command("list")
def list_() -> None:
    """List environments with size and last use, the one that was unused for longest first."""
    from slipstream.projects.environment_cache import cached_environments, environment_root

    found = cached_environments()
    _table(found)
    out.note(f"{len(found)} environments with {_size(found)} in {environment_root()}")


@envs.command()
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    required=True,
    metavar="DAYS",
    help="Remove environments that were not used for so many days; 0 is all that are not in use.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
def prune(older_than: float, dry_run: bool) -> None:
    """Remove environments that were not used for a while.

    None in which a command or server of slipstream runs is removed. An environment that is needed again is built
    again, with the same versions.
    """
    from slipstream.projects.environment_cache import prune as prune_environments

    removed = prune_environments(older_than, dry_run=dry_run)
    _table(removed)
    out.note(f"{'Would remove' if dry_run else 'Removed'} {len(removed)} environments with {_size(removed)}")


def _table(environments: "Iterable[CachedEnvironment]") -> None:
    rows = [
        (
            each.folder.name[:_NAME_LENGTH],
            _size([each]),
            datetime.fromtimestamp(each.last_used_time / 1000, UTC)
            .astimezone()
            .isoformat(sep=" ", timespec="seconds"),
            "yes" if each.in_use else "",
        )
        for each in environments
    ]
    out.table(rows, ["Environment", "Size", "Last Used", "In Use"])


def _size(environments: "Iterable[CachedEnvironment]") -> str:
    return f"{sum(each.size for each in environments) / 1_000_000:.1f} MB"
