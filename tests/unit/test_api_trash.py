"""What the routes of the trash refuse before a store is asked."""

from typing import Any, cast

import pytest

from slipstream.api.trash import RemoveTrash, remove_trash
from slipstream.errors import InvalidParameterError


@pytest.mark.parametrize("field", ["run_ids", "experiment_ids", "logged_model_ids"])
def test_an_empty_list_on_the_wire_is_not_everything(field: str) -> None:
    no_store = cast("Any", None)
    with pytest.raises(InvalidParameterError, match=f"'{field}' is an empty list"):
        remove_trash(no_store, RemoveTrash(phase="execute", **{field: []}))
