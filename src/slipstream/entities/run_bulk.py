"""Many runs that are changed alike by one request."""

from typing import Literal, TypeAlias

import msgspec

from slipstream.entities.experiment import ViewType

RunsOperation: TypeAlias = Literal["tag", "untag", "move", "delete", "restore"]


class RunsChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is done, and with which runs: those that are named, and those that any of the filters finds."""

    operation: RunsOperation
    run_ids: tuple[str, ...] = ()
    experiment_ids: tuple[str, ...] = ()
    """Where the filters search."""
    filters: tuple[str, ...] = ()
    """An empty one finds all runs."""
    view_type: ViewType = ViewType.ACTIVE_ONLY
    except_run_ids: tuple[str, ...] = ()
    """Found runs that are not meant."""
    expected: int | None = None
    """How many runs are meant; if they are not as many, nothing is done."""
    key: str = ""
    """The name of a tag."""
    value: str | None = None
    """The value of a tag, or the id of an experiment."""
    values: tuple[str | None, ...] | None = None
    """Instead: one for each of `run_ids`, in their order; `None` is no tag."""


class RunsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    found: int
    """How many runs were meant."""
    run_ids: list[str]
    """Those that are another way now."""
    before: list[str | None] | None = None
    """The tag that each of them had, or the id of its experiment; `None` for all where they are too long to be told."""
