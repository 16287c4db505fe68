"""What the routes of many runs let through, by their permission."""

from typing import Any, cast

import pytest

from slipstream.api.routing import OWN, ROUTES, Permission
from slipstream.api.run_bulk import ChangeRuns, change_runs
from slipstream.errors import InvalidParameterError

RUN = "a" * 32


@pytest.mark.parametrize(
    "asked",
    [
        ChangeRuns(operation="delete", run_ids=[RUN]),
        ChangeRuns(operation="untag", run_ids=[RUN], key="k"),
        ChangeRuns(operation="tag", run_ids=[RUN], key="k", values=[None]),
    ],
)
def test_what_removes_needs_the_route_that_may_delete(asked: ChangeRuns) -> None:
    no_store = cast("Any", None)
    with pytest.raises(InvalidParameterError, match="'runs/bulk-delete'"):
        change_runs(no_store, asked)


def test_the_permissions_of_both_routes() -> None:
    assert ROUTES["POST", OWN + "runs/bulk"].permission is Permission.WRITE
    assert ROUTES["POST", OWN + "runs/bulk-delete"].permission is Permission.DELETE
