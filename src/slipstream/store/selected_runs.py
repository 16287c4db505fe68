"""Runs that a search means, as parts of SQL: what tables, columns and changes of many runs begin with."""

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec

from slipstream.entities.run_table import RunSelection
from slipstream.rules import names
from slipstream.search.sql import Query, compile_runs
from slipstream.store.experiments import STAGES

FOUND: LiteralString = (
    "SELECT r.id FROM runs r WHERE r.experiment IN :experiments__in AND r.lifecycle_stage IN :stages__in AND "
)


class Selected(msgspec.Struct, frozen=True):
    """Runs that a valid search means."""

    experiments: list[int]
    query: Query
    stages: list[str]

    @staticmethod
    def of(selection: RunSelection, order_by: Sequence[str] = ()) -> "Selected":
        return Selected(
            [names.experiment_number(each, "experiment_ids") for each in selection.experiment_ids],
            compile_runs(selection.filter_string, order_by, None),
            STAGES[selection.view_type],
        )

    @property
    def params(self) -> dict[str, Any]:
        return {"experiments__in": self.experiments, "stages__in": self.stages, **self.query.params}

    @property
    def found(self) -> LiteralString:
        """The SELECT of the internal ids of all of them."""
        return f"{FOUND}({self.query.where})"
