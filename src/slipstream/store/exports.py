"""What the protocol of a store does not tell, and a whole copy of it needs, in SQL."""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from slipstream.db.base import Transaction
from slipstream.rules import names

SELECT_LOGGED_MODELS: LiteralString = """
    SELECT model_id, lifecycle_stage FROM logged_models
    WHERE experiment IN :experiments__in AND model_id > :after AND lifecycle_stage <> 'removing'
    ORDER BY model_id LIMIT :limit_
"""
SELECT_LAST_VERSIONS: LiteralString = "SELECT name, last_version FROM registered_models ORDER BY name"
SELECT_ORIGINS: LiteralString = """
    SELECT v.version, v.storage_location, v.model_id
    FROM model_versions v JOIN registered_models m ON m.id = v.model
    WHERE m.name = :name AND v.lifecycle_stage = 'active' ORDER BY v.version
"""

SELECT_RUNS_WITH_PAST: LiteralString = """
    SELECT r.run_id FROM runs r WHERE r.run_id IN :run_ids__in AND (
        EXISTS (SELECT 1 FROM run_branches b WHERE b.run = r.id)
        OR EXISTS (SELECT 1 FROM param_changes c WHERE c.run = r.id)
    )
"""


class VersionOrigin(NamedTuple):
    storage_location: str
    model_id: str | None


class ExportsPart:
    tx: Transaction

    def find_logged_model_stages(
        self, experiment_ids: Sequence[str], after: str, limit: int
    ) -> list[tuple[str, str]]:
        """Return (model id, lifecycle stage) of logged models with ids behind `after`, in order of ids."""
        numbers = [names.experiment_number(each) for each in experiment_ids]
        if not numbers:
            return []
        rows = self.tx.fetch_all(SELECT_LOGGED_MODELS, experiments__in=numbers, after=after, limit_=limit)
        return [(model_id, stage) for model_id, stage in rows]

    def find_runs_with_past(self, run_ids: Sequence[str]) -> set[str]:
        """Return those of some runs that have branches or earlier values of params."""
        if not run_ids:
            return set()
        return {row[0] for row in self.tx.fetch_all(SELECT_RUNS_WITH_PAST, run_ids__in=list(run_ids))}

    def find_last_versions(self) -> dict[str, int]:
        """Return the largest number of a version ever given, by registered model."""
        return dict(self.tx.fetch_all(SELECT_LAST_VERSIONS))

    def find_version_origins(self, name: str) -> dict[str, VersionOrigin]:
        """Return where the versions of a registered model came from, by number."""
        return {
            str(version): VersionOrigin(location, model_id)
            for version, location, model_id in self.tx.fetch_all(SELECT_ORIGINS, name=name)
        }
